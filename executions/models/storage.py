"""Tombstones of deleted executions, and the bookkeeping of storage use."""

from __future__ import annotations

from uuid import UUID

from django.db import connection, models

from core.ids import uuid7
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

    @classmethod
    def leave(
        cls,
        organization_id: UUID,
        fid: str,
        *,
        key: UUID | None = None,
        agent_id: UUID | None = None,
        user_id: UUID | None = None,
    ) -> None:
        """Leave the tombstone of the execution `key`, or of one that was never here.

        One that is there already becomes this execution's: it must not keep the execution from
        being deleted, viewers still have to drop it, and its files are found by its key.
        """
        with connection.cursor() as cursor:
            cursor.execute(LEAVE, [key or uuid7(), organization_id, fid, agent_id, user_id])


LEAVE = """
INSERT INTO executions_deletedexecution (id, organization_id, fid, agent_id, user_id, created_at)
VALUES (%s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT ON CONSTRAINT executions_deleted_unique DO UPDATE SET
    id = EXCLUDED.id, agent_id = EXCLUDED.agent_id, user_id = EXCLUDED.user_id,
    created_at = EXCLUDED.created_at, position = EXCLUDED.position
"""


class UnfinishedDeletion(OrganizationScopedModel):
    """A deleted execution, by its former key, whose events and errors the worker still deletes.

    Millions of rows take longer than a request may. The execution itself is gone at once, and with
    it whatever leads to its rows; nothing refers to them, so they have no foreign key.
    """

    last_sequence = models.PositiveIntegerField(help_text="That of the execution.")
    emptied_to = models.PositiveIntegerField(
        default=0,
        help_text=(
            "Rows up to this sequence number are deleted. The next ones are found without passing "
            "over what PostgreSQL keeps of those until it cleans up."
        ),
    )

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.pk)


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
