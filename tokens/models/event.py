"""Records of token requests, revocations and monthly usage."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from agents.models import Agent
from core.ids import uuid7
from organizations.models import Organization, OrganizationScopedModel, OrganizationScopedQuerySet
from tokens.models.credential import HINT_LENGTH, MAX_CREDENTIAL_NAME, Credential
from tokens.models.resource import MAX_IDENTIFIER_LENGTH


class TokenEvent(models.Model):
    """A request about a token, or several alike, recorded in the transaction that answers it."""

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
    token_id = models.UUIDField(null=True, help_text="The `jti` of the token.")
    scope = models.CharField(max_length=255, blank=True)
    resource = models.CharField(
        max_length=MAX_IDENTIFIER_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text=(
            "The identifier of the resource that the token is for. Empty for AgentIdP's own API."
        ),
    )
    ip_address = models.GenericIPAddressField(null=True)
    used_previous_secret = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether the client used a secret from before the last rotation.",
    )
    secret_hint = models.CharField(
        max_length=HINT_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text=("The last characters of the secret that was used. Empty if they were not kept."),
    )
    credential_name = models.CharField(
        max_length=MAX_CREDENTIAL_NAME,
        blank=True,
        default="",
        db_default="",
        help_text="The credential's name when it was used.",
    )
    times = models.PositiveIntegerField(
        default=1,
        db_default=1,
        help_text=(
            "How many requests of the same minute the row stands for. Only introspections share a "
            "row. What they do not have in common (`token_id`, `scope`, `resource`, `ip_address`) "
            "is empty."
        ),
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
        """The last characters of the secret that was used, or "" if they are no longer known.

        Rows from before hints were stored, and those about an existing token, have none. The
        credential's own hint applies as long as it has had no other secret.
        """
        if self.secret_hint or self.credential is None:
            return self.secret_hint
        rotated_at = self.credential.rotated_at
        is_new = self.outcome == self.Outcome.ISSUED and not self.used_previous_secret
        is_certain = rotated_at is None or (is_new and self.created_at >= rotated_at)
        return self.credential.secret_hint if is_certain else ""

    @property
    def used_name(self) -> str:
        """The name the credential had then, or its current one if only that is known."""
        if self.secret_hint or self.credential is None:
            return self.credential_name
        return self.credential.name


class Revocation(OrganizationScopedModel):
    """A revoked token. Identified by jti, because a JWT can be spelled in more than one way."""

    token_id = models.UUIDField(help_text="The `jti` of the token.")
    expires_at = models.DateTimeField(help_text="When the row can be deleted.")

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
    """Tokens issued in a calendar month (UTC). Kept only for organizations with a limit."""

    pk = models.CompositePrimaryKey("organization_id", "month")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    month = models.DateField(help_text="The first day of the month.")
    issued = models.PositiveIntegerField(default=0)

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
