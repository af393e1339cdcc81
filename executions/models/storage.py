"""Tombstones of deleted executions, and the bookkeeping of storage use."""

from __future__ import annotations

from django.db import models

from executions.models.columns import TransactionNumber
from executions.models.person import ExecutionUser
from organizations.models import Organization, OrganizationScopedModel, OrganizationScopedQuerySet


class DeletedExecution(OrganizationScopedModel):
    """The tombstone of a deleted execution: viewers drop it, and an import does not restore it."""

    fid = models.CharField(max_length=64)
    position = models.BigIntegerField(
        db_default=TransactionNumber(),
        editable=False,
        help_text="The transaction that deleted the execution.",
    )
    agent_id = models.UUIDField(null=True)
    user = models.ForeignKey(
        ExecutionUser,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "fid"], name="executions_deleted_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="executions_deleted_newest")
        ]

    def __str__(self) -> str:
        return self.fid


class StoredChange(models.Model):
    """By how much one change raised or lowered an organization's storage use.

    Triggers insert these rows in the transaction that stores the content, and merge them now and
    then; their sum is the use. A single counter row would make all writers wait for each other.
    """

    number = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    executions = models.BigIntegerField(db_default=0)
    event_bytes = models.BigIntegerField(db_default=0)
    file_bytes = models.BigIntegerField(db_default=0)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "number"], name="executions_stored_change")]

    def __str__(self) -> str:
        return f"{self.executions} executions, {self.event_bytes} and {self.file_bytes} bytes"
