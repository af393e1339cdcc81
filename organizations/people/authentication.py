"""Sign-in by email address, or by the short name of an account without one."""

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from core.text import same
from organizations.models import Membership, User
from organizations.people.passwords import whose_password

MAX_PASSWORD_LENGTH = 1024


class EmailBackend(ModelBackend):
    """Authenticates by email or short name and a password.

    An unknown name takes as long as a wrong password.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        account: User | None = None,
        organization_id: UUID | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The account with this password.

        `account` accepts only that one; `organization_id` prefers a member of that organization.
        """
        name = username or kwargs.get("email")
        if not name or not password or len(password) > MAX_PASSWORD_LENGTH:
            return None
        opened = [
            user
            for user in whose_password(name, password, User.objects.with_login_name(name))
            if self.user_can_authenticate(user) and (account is None or user == account)
        ]
        if organization_id is not None and len(opened) > 1:
            members = Membership.objects.filter(organization=organization_id, user__in=opened)
            belonging = set(members.values_list("user_id", flat=True))
            opened.sort(key=lambda user: user.pk not in belonging)
        return opened[0] if opened else None


def find_user(name: str) -> User | None:
    """The account that verified this address, or the one with this short name.

    Unverified accounts are not found: anyone could have chosen their address.
    """
    return next(
        (each for each in User.objects.with_login_name(name) if _is_identified_by(each, name)), None
    )


def _is_identified_by(account: User, name: str) -> bool:
    return account.is_verified or same(account.username, name)
