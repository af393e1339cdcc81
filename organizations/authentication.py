"""Signing people in with an e-mail address (or the short name of an account without one)."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.http import HttpRequest

from organizations.models import User

MAXIMUM_PASSWORD_LENGTH = 1024


class EmailBackend(ModelBackend):
    """E-mail or short name and password; an unknown name costs as much time as a wrong password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        name = username or kwargs.get("email")
        if not name or not password or len(password) > MAXIMUM_PASSWORD_LENGTH:
            return None
        user = find_user(name)
        if user is None:
            make_password(password)
            return None
        is_right = user.check_password(password)
        return user if is_right and self.user_can_authenticate(user) else None


def find_user(name: str) -> User | None:
    """Whose e-mail address or short name this is, without regard to case."""
    wanted = Lower(Value(name))
    is_short_name = ~Q(username="") & Q(Exact(Lower("username"), wanted))
    return User.objects.filter(Q(Exact(Lower("email"), wanted)) | is_short_name).first()
