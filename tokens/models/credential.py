"""The client secrets of agents."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from core.errors import DomainError
from core.rules import RowOf, Rule
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet

SECRET_PREFIX = "sk_live_"  # noqa: S105 - a prefix, not a secret
HINT_LENGTH = 4
MAX_CREDENTIAL_NAME = 64


class CredentialAlreadyRevoked(DomainError):
    code = "CREDENTIAL_ALREADY_REVOKED"
    message = "The credential is revoked. Make a new one."


class CredentialExpired(DomainError):
    code = "CREDENTIAL_EXPIRED"
    message = "The credential has expired: a new secret would not work. Make a new one."


def make_client_secret() -> str:
    """A new client secret: the prefix and 256 random bits."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def secret_mac(secret: str) -> bytes:
    """HMAC-SHA-256 of a secret with the server's pepper (ASVS 5.0, 6.5.2).

    A slow hash is for secrets that can be guessed; 256 random bits cannot.
    """
    return hmac.digest(settings.SECRET_PEPPER.encode(), secret.encode(), hashlib.sha256)


@dataclass(frozen=True)
class OldSecret:
    """A secret that a rotation replaced."""

    mac: bytes | memoryview
    ends_at: datetime
    hint: str
    """The last characters, or "" if they were not stored."""


IS_USABLE = Rule("tokens_credential_is_usable", RowOf("status"), Now())


class CredentialQuerySet(OrganizationScopedQuerySet):
    def usable(self) -> Self:
        return self.filter(IS_USABLE)

    def with_usability(self) -> Self:
        """Annotate the result of `is_usable`, which would otherwise query it."""
        return self.annotate(was_usable=IS_USABLE)

    def of_acting_agents(self) -> Self:
        """The credentials whose agent and organization are active."""
        return self.filter(
            Rule("agents_agent_may_act", RowOf("agent__status"), RowOf("organization__status"))
        )

    def with_secret(self, mac: bytes) -> Self:
        """Those with this secret as the current one, or as an old one in its grace period."""
        given = models.Value(mac, models.BinaryField())
        return self.filter(Rule("tokens_secret_opens", RowOf("status"), given, Now()))


class Credential(OrganizationScopedModel):
    """A client secret of an agent: shown once, stored as a MAC.

    After a rotation with a grace period, the old secret and those of earlier rotations keep
    working, each until its own grace period ends.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        REVOKED = "revoked", "Revoked"

    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        related_name="credentials",
        db_constraint=False,  # covered by the composite key of IsolateOrganizations
        db_index=False,
        editable=False,
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    secret_mac = models.BinaryField(max_length=32)
    secret_hint = models.CharField(max_length=HINT_LENGTH)
    name = models.CharField(max_length=MAX_CREDENTIAL_NAME, blank=True, default="", db_default="")
    previous_secret_hint = models.CharField(
        max_length=HINT_LENGTH, blank=True, default="", db_default=""
    )
    previous_secret_mac = models.BinaryField(max_length=32, null=True)
    previous_expires_at = models.DateTimeField(null=True)
    earlier_secret_macs = ArrayField(
        models.BinaryField(max_length=32),
        default=list,
        db_default=[],
        help_text=(
            "Hashes of secrets older than the previous one that are still within their "
            "grace period."
        ),
    )
    earlier_secret_ends = ArrayField(
        models.DateTimeField(),
        default=list,
        db_default=[],
        help_text="When each of them expires.",
    )
    earlier_secret_hints = ArrayField(
        models.CharField(max_length=HINT_LENGTH),
        blank=True,
        default=list,
        db_default=[],
        help_text="The last characters of each of those secrets.",
    )
    expires_at = models.DateTimeField(null=True)
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, help_text="Accurate to a minute.")
    previous_last_used_at = models.DateTimeField(
        null=True,
        help_text=(
            "When a secret from before the last rotation last obtained a token, accurate to "
            "a minute."
        ),
    )

    was_usable: bool | None = None
    """The result of is_usable() at the time of a query with_usability()."""

    objects = CredentialQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "revoked"]),
                name="tokens_credential_status_valid",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "agent", "-created_at"], name="tokens_credential_agent"
            ),
        ]

    def __str__(self) -> str:
        return f"credential {self.label}"

    @property
    def label(self) -> str:
        """The name, if there is one, and the last characters of the current secret."""
        return f"{self.name} …{self.secret_hint}" if self.name else f"…{self.secret_hint}"

    @property
    def secret_made_at(self) -> datetime:
        """When the current secret was made."""
        return self.rotated_at or self.created_at

    def hint_at(self, moment: datetime) -> str:
        """The last characters of the secret in use at that time, or "" if there were several."""
        alone_since = self.old_secrets_end or self.rotated_at
        return self.secret_hint if alone_since is None or moment >= alone_since else ""

    @property
    def is_revoked(self) -> bool:
        """Whether it was revoked, or ended with the decommissioning of its agent."""
        return self.status == self.Status.REVOKED or self.agent.is_decommissioned

    @property
    def shown_status(self) -> str:
        return self.Status.REVOKED if self.is_revoked else self.Status.ACTIVE

    @property
    def ended_at(self) -> datetime | None:
        """When it was revoked or its agent decommissioned."""
        return self.revoked_at or self.agent.decommissioned_at

    def renewed_end(self, now: datetime) -> datetime | None:
        """The expiry of a new secret that works from now for as long as the current one was to."""
        if self.expires_at is None:
            return None
        try:
            return now + (self.expires_at - self.secret_made_at)
        except OverflowError:  # beyond the year 9999
            return self.expires_at

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_usable(self) -> bool:
        """Whether the credential itself is usable and its agent not decommissioned.

        One query, unless it was read with_usability().
        """
        if self.was_usable is None:
            self.was_usable = Credential.objects.usable().filter(pk=self.pk).exists()
        return self.was_usable and not self.is_revoked

    @property
    def old_secrets_end(self) -> datetime | None:
        """When the last of the old secrets stops working, or stopped."""
        return max((old.ends_at for old in self.old_secrets()), default=None)

    def old_secrets(self) -> list[OldSecret]:
        """All stored old secrets, oldest first."""
        macs, ends = self.earlier_secret_macs, self.earlier_secret_ends
        hints = [*self.earlier_secret_hints, *[""] * len(macs)][: len(macs)]
        old = [OldSecret(*each) for each in zip(macs, ends, hints, strict=True)]
        if self.previous_secret_mac is not None and self.previous_expires_at is not None:
            previous = (self.previous_secret_mac, self.previous_expires_at)
            old.append(OldSecret(*previous, self.previous_secret_hint))
        return old

    def live_old_secrets(self, now: datetime) -> list[OldSecret]:
        """The old secrets that still work, newest first."""
        old = [each for each in reversed(self.old_secrets()) if each.ends_at > now]
        return old if old and self.is_usable() else []

    @property
    def present_old_secrets(self) -> list[OldSecret]:
        return self.live_old_secrets(timezone.now())

    def set_secret(self, secret: str) -> None:
        self.secret_mac = secret_mac(secret)
        self.secret_hint = secret[-HINT_LENGTH:]

    def replace_secret(self, secret: str, grace: timedelta, now: datetime) -> None:
        """Set a new secret at that time, which must be of the database's clock.

        With `grace`, the current one works that much longer and older ones as long as promised,
        none beyond its own expiry. Without, all of them end now. Does not save.
        """
        kept = [old for old in self.old_secrets() if old.ends_at > now]
        self.forget_old_secrets()
        if grace:
            self.earlier_secret_macs = [old.mac for old in kept]
            self.earlier_secret_ends = [old.ends_at for old in kept]
            self.earlier_secret_hints = [old.hint for old in kept]
            end = now + grace if self.expires_at is None else min(now + grace, self.expires_at)
            self.previous_secret_mac, self.previous_expires_at = self.secret_mac, end
            self.previous_secret_hint = self.secret_hint
        if not self.earlier_secret_macs:
            self.previous_last_used_at = None
        self.set_secret(secret)
        self.rotated_at = now

    def forget_old_secrets(self) -> None:
        """Remove all old secrets. Does not save."""
        self.previous_secret_mac, self.previous_expires_at = None, None
        self.earlier_secret_macs, self.earlier_secret_ends = [], []
        self.previous_secret_hint, self.earlier_secret_hints = "", []

    def end_old_secrets(self, now: datetime) -> list[OldSecret]:
        """End every old secret now and return those that worked until now.

        They stay stored, so that a refusal can give the reason. Does not save.
        """
        ended = self.live_old_secrets(now)
        if self.previous_expires_at is not None:
            self.previous_expires_at = min(self.previous_expires_at, now)
        self.earlier_secret_ends = [min(end, now) for end in self.earlier_secret_ends]
        return ended
