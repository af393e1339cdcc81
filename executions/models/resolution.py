"""What people have said about groups of errors: that their cause is removed."""

from __future__ import annotations

from django.db import models

from core.text import NormalizedCharField
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet

MAX_NOTE = 500


class ErrorState(models.TextChoices):
    """The state of a group of errors. It is derived, never stored (queries/error_states.py)."""

    NEW = "new", "New"
    ONGOING = "ongoing", "Ongoing"
    RESOLVED = "resolved", "Resolved"
    REGRESSED = "regressed", "Regressed"


class ErrorResolution(OrganizationScopedModel):
    """A group of errors that a person or an agent has resolved.

    It stays when the group occurs again, which makes the group regressed; reopening removes it.
    """

    fingerprint = models.CharField(max_length=40, help_text="The group's, as in ExecutionError.")
    resolved_at = models.DateTimeField(
        help_text="By the clock of the database, as ExecutionError.created_at, for comparison."
    )
    note = NormalizedCharField(max_length=MAX_NOTE, blank=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(
        max_length=255, help_text="Who resolved it, as in the audit log."
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "fingerprint"], name="executions_resolution_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.fingerprint
