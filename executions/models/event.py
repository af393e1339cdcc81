from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models.functions import Now

from executions.models.execution import Execution
from executions.models.storage import UnfinishedDeletion
from organizations.models import Organization, OrganizationScopedModel, OrganizationScopedQuerySet

MAX_SEQUENCE = 2**31 - 1
"""The largest sequence number that the column can hold."""


class ExecutionEvent(models.Model):
    """An event of an execution. Append-only; the sequence has no gaps."""

    class Kind(models.TextChoices):
        STATUS = "status", "Status"
        META = "meta", "Meta"
        INPUTS = "inputs", "Inputs"
        UPLOAD = "upload", "Upload"
        AGENT = "agent", "Agent"
        STDOUT = "stdout", "Standard output"
        STDERR = "stderr", "Standard error"
        DEBUG = "debug", "Debug"
        ACTION = "action", "Action"
        RESULT = "result", "Result"
        LOCK = "lock", "Lock"
        LEASE = "lease", "Lease"
        FINAL = "final", "Final"
        ERROR = "error", "Error"

    PLAIN = frozenset({Kind.STATUS, Kind.STDOUT, Kind.STDERR, Kind.DEBUG, Kind.ERROR})
    """Kinds whose messages are plain text; all others are JSON with a type tag."""

    pk = models.CompositePrimaryKey("organization_id", "execution_id", "sequence")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    execution = models.ForeignKey(
        Execution,
        on_delete=models.DO_NOTHING,  # they may stay for a while: UnfinishedDeletion
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.PositiveIntegerField()
    timestamp = models.FloatField(help_text="When it was emitted.")
    kind = models.CharField(
        max_length=32, help_text="Imports keep kinds that AgentIdP does not know."
    )
    message = models.TextField()

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["sequence"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind}"


class ExecutionErrorQuerySet(OrganizationScopedQuerySet):
    def for_organization(self, organization: Organization) -> Self:
        """Without those of deleted executions, which the worker may still have to delete."""
        deleted = UnfinishedDeletion.objects.filter(organization=organization).values("pk")
        return super().for_organization(organization).exclude(execution_id__in=deleted)


class ExecutionError(OrganizationScopedModel):
    """An error event made readable, for the list of errors and their groups."""

    execution = models.ForeignKey(
        Execution,
        on_delete=models.DO_NOTHING,  # they may stay for a while: UnfinishedDeletion
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.PositiveIntegerField(help_text="The timestamp of the event.")
    timestamp = models.FloatField()
    created_at = models.DateTimeField(
        db_default=Now(), editable=False, help_text="When it was received, by the database's clock."
    )
    error_type = models.CharField(
        max_length=255, blank=True, help_text="The class of the exception."
    )
    message = models.TextField(help_text="The error message, without a traceback.")
    fingerprint = models.CharField(
        max_length=40, help_text="The same for all errors of a group (executions/errors.py)."
    )

    objects = ExecutionErrorQuerySet.as_manager()

    class Meta:
        ordering = ["-timestamp", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "execution", "sequence"], name="executions_error_unique"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "-timestamp", "-id"], name="executions_error_newest"
            ),
            # Covers how often and in how many executions a group was seen.
            models.Index(
                fields=["organization", "fingerprint", "-timestamp"],
                include=["execution"],
                name="executions_error_of_group",
            ),
            # When a group was received first, and whether it was since a time.
            models.Index(
                fields=["organization", "fingerprint", "created_at"],
                name="executions_error_received",
            ),
        ]

    def __str__(self) -> str:
        return self.message
