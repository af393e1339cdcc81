import secrets
from getpass import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from core.constraints import refusing
from core.errors import DomainError
from organizations.actions import create_organization
from organizations.actions.invitations import check_new_password
from organizations.models import Organization, User
from organizations.people.authentication import find_user
from organizations.people.mail_addresses import validate_mail_address


class AddressTaken(DomainError):
    message = "Somebody made an account with this address at this moment. Run the command again."


class Command(BaseCommand):
    help = (
        "Create an organization and its owner. The owner's password is generated and printed "
        "once, or asked for with --ask-password. There are no default accounts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="the organization's name")
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--owner-name", default="")
        parser.add_argument("--slug", default="", help="the default is made from the name")
        parser.add_argument(
            "--ask-password",
            action="store_true",
            help="ask for the owner's password instead of generating one",
        )

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        try:
            Organization(name=options["name"], slug=options["slug"] or "unused").clean_fields()
            owner, password = self.find_or_make_owner(options)
            membership = create_organization(
                owner, name=options["name"], slug=options["slug"], command="create_organization"
            )
        except (DomainError, ValidationError) as error:
            raise CommandError(" ".join(getattr(error, "messages", None) or [str(error)])) from None
        self.stdout.write(f"Organization  {membership.organization.public_id}")
        self.stdout.write(f"Owner         {owner.email}")
        if password:
            self.stdout.write(f"Password      {password}")
            self.stdout.write("The password is shown only once. Change it at /password.")

    def find_or_make_owner(self, options: dict[str, Any]) -> tuple[User, str]:
        """The owner, and the password to print: "" for an existing account or a typed password."""
        email = options["owner_email"]
        validate_email(email)
        validate_mail_address(email)
        if known := find_user(email):
            return known, ""
        owner = User(
            email=email, name=options["owner_name"], email_verified_at=timezone.now()
        )  # the operator vouches for it
        password = self.typed() if options["ask_password"] else secrets.token_urlsafe(18)
        check_new_password(password, owner)
        owner.set_password(password)
        with refusing(organizations_user_verified_email_unique=AddressTaken):
            owner.save(force_insert=True)
        return owner, "" if options["ask_password"] else password

    def typed(self) -> str:
        password = getpass("Password: ")
        if password != getpass("Password again: "):
            raise CommandError("The passwords differ.")
        return password
