"""Models of the audit log. organizations/audit/log.py writes and verifies them."""

from __future__ import annotations

from typing import Self

from django.db import models

from organizations.models.organization import Organization
from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet


class AuditEventQuerySet(OrganizationScopedQuerySet):
    def in_order(self) -> Self:
        return self.order_by("sequence")


class AuditChain(models.Model):
    """The head of an organization's audit log, locked while an event is appended."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.BinaryField(max_length=32)
    event_bytes = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="Size of all events. Each counts as its texts plus 512 bytes.",
    )

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"event {self.sequence}"


class AuditEvent(OrganizationScopedModel):
    """A security event. Append-only; each row contains the hash of the previous one."""

    class Outcome(models.TextChoices):
        SUCCESS = "success", "Success"
        FAILURE = "failure", "Failure"

    sequence = models.PositiveBigIntegerField()
    occurred_at = models.DateTimeField()
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.SUCCESS)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=255)
    agent_id = models.UUIDField(null=True, help_text="The agent that the event is about, if any.")
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=255, blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict)
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "sequence"], name="organizations_auditevent_sequence_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["success", "failure"]),
                name="organizations_auditevent_outcome_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "occurred_at"], name="organizations_audit_time"),
            models.Index(
                fields=["organization", "agent_id", "sequence"], name="organizations_audit_agent"
            ),
            models.Index(
                fields=["organization", "action", "sequence"], name="organizations_audit_action"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"
