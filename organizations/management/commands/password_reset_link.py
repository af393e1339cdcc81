from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from organizations.actions import operators_reset_link
from organizations.models import User


class Command(BaseCommand):
    help = (
        "Print a password reset link for somebody whose identity you have checked yourself. "
        "It works once, within an hour, and does not verify the email address."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the account's email address, short name or id")

    def handle(self, *, name: str, **options: Any) -> None:
        users = [user for user in User.objects.with_login_name(name) if user.is_active]
        if not users:
            users = _by_id(name)
        if not users:
            raise CommandError(f"There is no active account {name}.")
        if len(users) > 1:
            lines = "\n".join(f"  {user.pk}  {_place(user)}" for user in users)
            raise CommandError(f"{len(users)} accounts have this address. Give the id:\n{lines}")
        self.stdout.write(operators_reset_link(users[0]))
        self.stderr.write("The link is shown only once. It works once, within an hour.")


def _by_id(text: str) -> list[User]:
    try:
        return list(User.objects.filter(pk=UUID(text), is_active=True))
    except ValueError:
        return []


def _place(user: User) -> str:
    names = user.memberships.values_list("organization__name", flat=True)
    proof = "proven" if user.is_verified else "unproven"
    return f"{proof}, in {', '.join(names) or 'no organization'}"
