"""Credentials, the resources that tokens are for, the signing keys, the record of every token
request, and what was revoked."""

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
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan
from django.utils import timezone

from agents.models import Agent
from core.errors import DomainError
from core.ids import uuid7
from core.rules import RowOf, Rule
from core.text import NormalizedCharField
from organizations.models import (
    Organization,
    OrganizationScopedModel,
    OrganizationScopedQuerySet,
    User,
)


class SigningKey(models.Model):
    """A key of the deployment's ring: published, then used, kept until its last token ended."""

    kid = models.CharField(max_length=64, primary_key=True, help_text="RFC 7638 thumbprint.")
    algorithm = models.CharField(max_length=8, choices=Organization.Algorithm)
    private_key = models.BinaryField(help_text="PEM, encrypted with AGENTIDP_KEY_ENCRYPTION_KEY.")
    public_jwk = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    active_from = models.DateTimeField(help_text="Signs from here on.")
    retired_at = models.DateTimeField(null=True, help_text="Signs no more from here on.")
    removed_at = models.DateTimeField(null=True, help_text="No longer published or accepted.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(algorithm__in=["ES256", "RS256"]),
                name="tokens_signingkey_algorithm_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"


class KnownSecret(models.Model):
    """That a secret of the operator has been used with this database: see known_secrets.py."""

    name = models.CharField(max_length=64, help_text="The setting that holds it.")
    mac = models.BinaryField(max_length=32)
    since = models.DateTimeField(default=timezone.now)
    everywhere_since = models.DateTimeField(
        null=True, help_text="When the operator said that all processes use it."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "mac"], name="tokens_knownsecret_unique")
        ]

    def __str__(self) -> str:
        return self.name


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
    """HMAC-SHA-256 of a secret under the server's pepper (ASVS 5.0, 6.5.2).

    A slow password hash would protect a guessable secret; 256 random bits are not guessable.
    """
    return hmac.digest(settings.SECRET_PEPPER.encode(), secret.encode(), hashlib.sha256)


@dataclass(frozen=True)
class OldSecret:
    """A secret from before a rotation."""

    mac: bytes | memoryview
    ends_at: datetime
    hint: str
    """Its last characters; empty where they were not kept."""


IS_USABLE = Rule("tokens_credential_is_usable", RowOf("status"), Now())


class CredentialQuerySet(OrganizationScopedQuerySet):
    def usable(self) -> Self:
        return self.filter(IS_USABLE)

    def with_usability(self) -> Self:
        """Each with the answer of `is_usable`, which otherwise asks for it."""
        return self.annotate(was_usable=IS_USABLE)

    def of_acting_agents(self) -> Self:
        """Those whose agent and organization are active."""
        return self.filter(
            Rule("agents_agent_may_act", RowOf("agent__status"), RowOf("organization__status"))
        )

    def with_secret(self, mac: bytes) -> Self:
        """Those that the secret opens: by its present MAC, or by an old one in its grace."""
        is_previous = models.Q(previous_secret_mac=mac, previous_expires_at__gt=Now())
        earlier_ends = RawSQL(
            "tokens_credential.earlier_secret_ends"
            "[array_position(tokens_credential.earlier_secret_macs, %s)]",
            [mac],
            output_field=models.DateTimeField(),
        )
        is_earlier = models.Q(GreaterThan(earlier_ends, Now()))
        return self.filter(models.Q(secret_mac=mac) | is_previous | is_earlier)


class Credential(OrganizationScopedModel):
    """A client secret of an agent: shown once, stored as a MAC.

    After a rotation with a grace period the old secret goes on working, and so do those of earlier
    rotations, each until its own grace ends.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        REVOKED = "revoked", "Revoked"

    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        related_name="credentials",
        db_constraint=False,  # the composite key of IsolateOrganizations stands for it
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
        help_text="Of secrets before the previous one, whose grace goes on.",
    )
    earlier_secret_ends = ArrayField(
        models.DateTimeField(),
        default=list,
        db_default=[],
        help_text="Until when each of them works.",
    )
    earlier_secret_hints = ArrayField(
        models.CharField(max_length=HINT_LENGTH),
        blank=True,
        default=list,
        db_default=[],
        help_text="The last characters of each of them.",
    )
    expires_at = models.DateTimeField(null=True)
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, help_text="Exact to a minute.")
    previous_last_used_at = models.DateTimeField(
        null=True,
        help_text="When a secret from before the last rotation got a token; to a minute.",
    )

    was_usable: bool | None = None
    """When it was read, by a queryset `with_usability`."""

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
        """Its name, if it has one, and the last characters of its present secret."""
        return f"{self.name} …{self.secret_hint}" if self.name else f"…{self.secret_hint}"

    def hint_at(self, moment: datetime) -> str:
        """The last characters of the secret in use then; empty where several may have been."""
        alone_since = self.old_secrets_end or self.rotated_at
        return self.secret_hint if alone_since is None or moment >= alone_since else ""

    @property
    def is_revoked(self) -> bool:
        """Revoked itself, or ended for good together with its agent (which cannot come back)."""
        return self.status == self.Status.REVOKED or self.agent.is_decommissioned

    @property
    def shown_status(self) -> str:
        return self.Status.REVOKED if self.is_revoked else self.Status.ACTIVE

    @property
    def ended_at(self) -> datetime | None:
        """When it was revoked, or its agent decommissioned."""
        return self.revoked_at or self.agent.decommissioned_at

    def renewed_end(self, now: datetime) -> datetime | None:
        """The end of another secret that starts now and works as long as the present one does."""
        if self.expires_at is None:
            return None
        try:
            return now + (self.expires_at - (self.rotated_at or self.created_at))
        except OverflowError:  # the calendar ends in the year 9999
            return self.expires_at

    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def is_usable(self) -> bool:
        """Whether it may be used, as far as that depends on itself and on an agent that is gone for
        good. One query, unless it was read `with_usability`."""
        if self.was_usable is None:
            self.was_usable = Credential.objects.usable().filter(pk=self.pk).exists()
        return self.was_usable and not self.is_revoked

    @property
    def old_secrets_end(self) -> datetime | None:
        """When the last of the secrets before the present one stops to work, or stopped."""
        return max((old.ends_at for old in self.old_secrets()), default=None)

    def old_secrets(self) -> list[OldSecret]:
        """Each old secret that is known, the oldest first."""
        macs, ends = self.earlier_secret_macs, self.earlier_secret_ends
        hints = [*self.earlier_secret_hints, *[""] * len(macs)][: len(macs)]
        old = [OldSecret(*each) for each in zip(macs, ends, hints, strict=True)]
        if self.previous_secret_mac is not None and self.previous_expires_at is not None:
            previous = (self.previous_secret_mac, self.previous_expires_at)
            old.append(OldSecret(*previous, self.previous_secret_hint))
        return old

    def live_old_secrets(self, now: datetime) -> list[OldSecret]:
        """Those that still work, the newest first."""
        old = [each for each in reversed(self.old_secrets()) if each.ends_at > now]
        return old if old and self.is_usable() else []

    @property
    def present_old_secrets(self) -> list[OldSecret]:
        return self.live_old_secrets(timezone.now())

    def set_secret(self, secret: str) -> None:
        self.secret_mac = secret_mac(secret)
        self.secret_hint = secret[-HINT_LENGTH:]

    def replace_secret(self, secret: str, grace: timedelta) -> None:
        """Another secret; the one before works for the grace, and older ones as long as was
        promised; none beyond its own end. Without a grace all of them end now. Saves nothing."""
        now = timezone.now()
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
        """Saves nothing."""
        self.previous_secret_mac, self.previous_expires_at = None, None
        self.earlier_secret_macs, self.earlier_secret_ends = [], []
        self.previous_secret_hint, self.earlier_secret_hints = "", []

    def end_old_secrets(self, now: datetime) -> list[OldSecret]:
        """Those that worked until now. They stay known, so that a refusal can say why. Saves
        nothing."""
        ended = self.live_old_secrets(now)
        if self.previous_expires_at is not None:
            self.previous_expires_at = min(self.previous_expires_at, now)
        self.earlier_secret_ends = [min(end, now) for end in self.earlier_secret_ends]
        return ended


MAX_SESSION = timedelta(days=30)


class LoginSessionQuerySet(models.QuerySet["LoginSession"]):
    def live(self) -> Self:
        """Not ended, not too old, and begun with the person's present password."""
        return self.filter(
            Rule("tokens_session_is_live", RowOf("created_at"), RowOf("user__is_active"), Now())
        )


class LoginSession(models.Model):
    """A person's API session, from signing in until logging out. Not a tenant's row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_sessions")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)

    objects = LoginSessionQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.id)


MAX_IDENTIFIER_LENGTH = 255
MAX_SCOPE_LENGTH = 64
MIN_TOKEN_LIFETIME = 60
MAX_TOKEN_LIFETIME = 86_400
"""Seconds that a resource may let its tokens live."""


class Resource(OrganizationScopedModel):
    """A service that takes tokens: the one receiver (`aud`) of those that name it (RFC 8707).

    `identifier` is an address in its normal form, compared character by character.
    """

    identifier = models.CharField(max_length=MAX_IDENTIFIER_LENGTH)
    name = NormalizedCharField(max_length=100)
    scopes = ArrayField(
        models.CharField(max_length=MAX_SCOPE_LENGTH),
        default=list,
        blank=True,
        help_text="What its tokens may allow; the words are the service's own.",
    )
    scope_descriptions = models.JSONField(
        default=dict, blank=True, help_text="A sentence for each scope that has one."
    )
    token_lifetime = models.PositiveIntegerField(
        null=True, help_text="Seconds. None: as long as tokens for our own API."
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "identifier"], name="tokens_resource_identifier_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(token_lifetime=None)
                | models.Q(token_lifetime__range=(MIN_TOKEN_LIFETIME, MAX_TOKEN_LIFETIME)),
                name="tokens_resource_token_lifetime_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def described_scopes(self) -> list[dict[str, str]]:
        """Each scope as `{"name", "description"}`."""
        descriptions = self.scope_descriptions
        return [{"name": name, "description": descriptions.get(name, "")} for name in self.scopes]

    @property
    def lifetime_seconds(self) -> int:
        """How long its tokens live."""
        return self.token_lifetime or int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())


class ResourceGrant(OrganizationScopedModel):
    """An agent may have tokens for a resource, with at most these of its scopes.

    Without a grant it gets none.
    """

    resource = models.ForeignKey(
        Resource,
        on_delete=models.PROTECT,
        related_name="grants",
        db_constraint=False,  # the composite key of IsolateOrganizations stands for it
        db_index=False,
        editable=False,
    )
    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        related_name="resource_grants",
        db_constraint=False,
        db_index=False,
        editable=False,
    )
    scopes = ArrayField(models.CharField(max_length=MAX_SCOPE_LENGTH), default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "resource", "agent"], name="tokens_resourcegrant_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "agent"], name="tokens_resourcegrant_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} at {self.resource_id}"


class TokenEvent(models.Model):
    """One row for each request about a token, written in the transaction of its answer."""

    class Outcome(models.TextChoices):
        ISSUED = "issued", "Issued"
        REFUSED = "refused", "Refused"
        INTROSPECTED = "introspected", "Introspected"
        REVOKED = "revoked", "Revoked"

    class Reason(models.TextChoices):
        UNKNOWN_CLIENT = "unknown_client", "Unknown client id"
        WRONG_SECRET = "wrong_secret", "Wrong secret"
        CREDENTIAL_REVOKED = "credential_revoked", "Credential revoked"
        CREDENTIAL_EXPIRED = "credential_expired", "Credential expired"
        SECRET_ROTATED = "secret_rotated", "Secret rotated out"
        AGENT_SUSPENDED = "agent_suspended", "Agent suspended"
        AGENT_DECOMMISSIONED = "agent_decommissioned", "Agent decommissioned"
        ORGANIZATION_SUSPENDED = "organization_suspended", "Organization suspended"
        SCOPE_NOT_ALLOWED = "scope_not_allowed", "Scope not allowed"
        RESOURCE_NOT_ALLOWED = "resource_not_allowed", "Resource not allowed"
        MONTHLY_LIMIT = "monthly_limit", "Monthly limit reached"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=12, choices=Outcome)
    reason = models.CharField(max_length=32, blank=True, choices=Reason)
    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    credential = models.ForeignKey(
        Credential,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    token_id = models.UUIDField(null=True, help_text="The token's jti.")
    scope = models.CharField(max_length=255, blank=True)
    resource = models.CharField(
        max_length=MAX_IDENTIFIER_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The identifier of the resource that the token is for; empty: our own API.",
    )
    ip_address = models.GenericIPAddressField(null=True)
    used_previous_secret = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The client still has the secret from before the last rotation.",
    )
    secret_hint = models.CharField(
        max_length=HINT_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The last characters of the secret that was used; empty: not kept.",
    )
    credential_name = models.CharField(
        max_length=MAX_CREDENTIAL_NAME,
        blank=True,
        default="",
        db_default="",
        help_text="The name of the credential when it was used.",
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["issued", "refused", "introspected", "revoked"]),
                name="tokens_tokenevent_outcome_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "created_at"], name="tokens_event_time"),
            models.Index(fields=["organization", "agent", "created_at"], name="tokens_event_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.id}"

    @property
    def used_hint(self) -> str:
        """The last characters of the secret that was used; empty where nobody knows any more.

        Rows from before the hint was kept, and those about a token that exists, have none of their
        own: the credential tells as long as it has had no other secret.
        """
        if self.secret_hint or self.credential is None:
            return self.secret_hint
        rotated_at = self.credential.rotated_at
        is_new = self.outcome == self.Outcome.ISSUED and not self.used_previous_secret
        is_certain = rotated_at is None or (is_new and self.created_at >= rotated_at)
        return self.credential.secret_hint if is_certain else ""

    @property
    def used_name(self) -> str:
        """The credential's name of then; of today where only that is known."""
        if self.secret_hint or self.credential is None:
            return self.credential_name
        return self.credential.name


class Revocation(OrganizationScopedModel):
    """A token that ended before its time. Keyed by jti: a JWT has more than one spelling."""

    token_id = models.UUIDField(help_text="The token's jti.")
    expires_at = models.DateTimeField(help_text="When the row may be forgotten.")

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "token_id"], name="tokens_revocation_unique"
            ),
        ]

    def __str__(self) -> str:
        return str(self.token_id)


class MonthlyUsage(models.Model):
    """Tokens issued in a calendar month (UTC), kept only where the organization has a limit."""

    pk = models.CompositePrimaryKey("organization_id", "month")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    month = models.DateField(help_text="Its first day.")
    issued = models.PositiveIntegerField(default=0)

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
