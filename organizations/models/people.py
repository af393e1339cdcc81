"""People's accounts, and the links that verify an address or reset a password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.db.models.lookups import Exact
from django.utils import timezone

from core.database_clock import database_time
from core.ids import uuid7
from core.text import NormalizedCharField, NormalizedEmailField, folded
from organizations.people.passwords import compute_hash, salt_of

MAX_ACCOUNTS_OF_ADDRESS = 1000


class AccountLinkQuerySet(models.QuerySet[Any]):
    def open(self) -> Self:
        """Links that have not expired. Used ones are deleted."""
        return self.filter(expires_at__gt=Now())


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create an account for the operator, who vouches for its address."""
        fields = {"email_verified_at": timezone.now()} | fields
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def of_address(self, email: str) -> list[User]:
        """Every account with this address in any case: the verified one first, then by age."""
        return self._proven_first(models.Q(Exact(Lower("email"), folded(email))))

    def with_login_name(self, name: str) -> list[User]:
        """The accounts with this address and the one with this short name, in one query."""
        wanted = folded(name)
        is_short_name = ~models.Q(username="") & models.Q(Exact(Lower("username"), wanted))
        return self._proven_first(models.Q(Exact(Lower("email"), wanted)) | is_short_name)

    def _proven_first(self, wanted: models.Q) -> list[User]:
        proven_first = models.F("email_verified_at").asc(nulls_last=True)
        users = self.filter(wanted).order_by(proven_first, "created_at", "pk")
        return list(users[:MAX_ACCOUNTS_OF_ADDRESS])

    def hash_password(self, email: str, password: str | None) -> str:
        """The password hash to store for an account with this address.

        None makes an unusable password.
        """
        if password is None:
            return make_password(None)
        return compute_hash(password, salt_of(email, self.of_address(email)))


class User(AbstractBaseUser, PermissionsMixin):
    """A person's account, which belongs to organizations by memberships.

    At most one account has verified an address. Unverified accounts may share it: each comes from a
    link of one organization, which proves nothing to others.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = NormalizedEmailField(max_length=254)
    email_verified_at = models.DateTimeField(
        null=True, editable=False, help_text="Empty while the address is not verified."
    )
    created_through = models.ForeignKey(
        "Organization",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        help_text=(
            "The organization whose invitation created the account, as long as the account "
            "keeps that address."
        ),
    )
    username = NormalizedCharField(
        max_length=64,
        blank=True,
        help_text="A short name to sign in with, for accounts that other systems know by name.",
    )
    name = NormalizedCharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    sessions_valid_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text=(
            "When all sessions ended. Each session has a copy of it, and has ended if the copy "
            "differs."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=models.Q(email_verified_at__isnull=False),
                name="organizations_user_verified_email_unique",
            ),
            models.UniqueConstraint(
                Lower("username"),
                condition=~models.Q(username=""),
                name="organizations_user_username_unique",
            ),
        ]
        indexes = [models.Index(Lower("email"), name="organizations_user_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_verified(self) -> bool:
        """Whether the person proved the address, or the operator vouches for it."""
        return self.email_verified_at is not None

    def get_session_auth_hash(self) -> str:
        """Includes `sessions_valid_from`: browser sessions end together with those of the API."""
        return super().get_session_auth_hash() + self._sessions_start

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for known in super().get_session_auth_fallback_hash():
            yield known + self._sessions_start

    @property
    def _sessions_start(self) -> str:
        return "" if self.sessions_valid_from is None else str(self.sessions_valid_from.timestamp())

    def set_password(self, raw_password: str | None) -> None:
        """Set the password, which ends the sessions opened with the old one."""
        self.use_hash(type(self).objects.hash_password(self.email, raw_password))
        self._password = raw_password

    def use_hash(self, hashed: str) -> None:
        """Store a password hash that was computed before any lock was taken."""
        self.password = hashed
        self.sessions_valid_from = database_time()

    def adopt_hash(self, hashed: str) -> None:
        """Store a new hash of the same password, unless another password has been set since."""
        previous, self.password = self.password, hashed
        type(self).objects.filter(pk=self.pk, password=previous).update(password=hashed)


class AccountLink(models.Model):
    """A link that resets a password or verifies an address. Its secret is stored as a MAC."""

    class Purpose(models.TextChoices):
        PASSWORD = "password", "New password"
        ADDRESS = "address", "Another address"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    email = NormalizedEmailField(max_length=254, blank=True, help_text="The new email address.")
    secret_mac = models.BinaryField(
        max_length=32, help_text="Empty while the mail has not been sent."
    )
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["password", "address"]),
                name="organizations_accountlink_purpose_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"link of {self.user_id}"
