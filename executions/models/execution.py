"""The record of executions. A kodosumi "execution" and an agent-bot "task" are the same row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from core.errors import DomainError, NotFound
from core.ids import uuid7
from core.text import NormalizedCharField, NormalizedEmailField
from executions.described import described, summary_of, tags_of
from organizations.actors import Actor
from organizations.models import (
    Membership,
    Organization,
    OrganizationScopedModel,
    OrganizationScopedQuerySet,
    User,
)
from tokens.models import Credential


class TransactionNumber(models.Func):
    """Of the transaction that writes the row, in the order in which transactions began to write."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()


class ExecutionNotFound(NotFound):
    code = "EXECUTION_NOT_FOUND"
    message = "There is no execution with this id."


class ExecutionHasEnded(DomainError):
    code = "EXECUTION_ENDED"
    message = "The execution has ended; it accepts no more events."


class IllegalTransition(DomainError):
    code = "ILLEGAL_TRANSITION"
    message = "The execution cannot go from its status to this one."


class EventAfterEnd(DomainError):
    """`details` name the event and the status of the execution, which none of the batch changed."""

    code = "EVENT_AFTER_END"
    message = "The batch has an event after the one that ends the execution."


class LeaseLost(DomainError):
    code = "LEASE_LOST"
    message = "Another worker has taken over, or the lease has expired."


class ExecutionUser(OrganizationScopedModel):
    """A person as executions know them: a member, or a user of the system they came from.

    It stays when the member leaves, so that their executions keep a name.
    """

    external_id = models.UUIDField(
        help_text="The id that answers show: the member's, or the one of the other system."
    )
    name = NormalizedCharField(max_length=150)
    email = NormalizedEmailField(max_length=254, blank=True)
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "external_id"], name="executions_user_unique"
            ),
        ]
        indexes = [models.Index(fields=["organization", "user"], name="executions_user_member")]

    def __str__(self) -> str:
        return self.name


RESERVED_IDS = frozenset({"errors", "export", "statistics", "timeline"})
"""Words that stand where an execution's id stands in addresses of pages. An engine cannot choose
them; those that exist have an address of their own."""
UNKNOWN_AGENT = "Unknown"
"""The agent's name as long as nothing has named it."""
OPERATORS = frozenset({Membership.Role.OPERATOR, Membership.Role.ADMIN, Membership.Role.OWNER})


class ExecutionQuerySet(OrganizationScopedQuerySet):
    def visible_to(self, actor: Actor) -> Self:
        """Operators and the system see all of the organization's; others their own."""
        return self if sees_all(actor) else self.owned_by(actor)

    def owned_by(self, actor: Actor) -> Self:
        """Those that the person launched, or that the agent runs."""
        if actor.id is None:
            return self.none()
        if actor.kind == "agent":
            return self.filter(agent_id=actor.id)
        return self.filter(user__user_id=actor.id)

    def without_content(self) -> Self:
        """For lists, and for whoever writes a row back: leaves out what may be large."""
        return self.defer(*Execution.NOT_IN_LISTS)

    def live(self) -> Self:
        return self.exclude(status__in=Execution.FINAL)


def sees_all(actor: Actor) -> bool:
    """Whether the actor sees the executions of everyone in the organization."""
    return actor.kind in {"staff", "system"} or actor.role in OPERATORS


class Execution(OrganizationScopedModel):
    """One run. Its state follows from its events: see event_log.py."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        STARTING = "starting", "Starting"
        RUNNING = "running", "Running"
        AWAITING = "awaiting", "Awaiting"
        FINISHED = "finished", "Finished"
        ERROR = "error", "Error"
        CANCELLED = "cancelled", "Cancelled"

    class Source(models.TextChoices):
        API = "api", "Reported over the API"
        KODOSUMI = "kodosumi", "Imported from kodosumi"
        WORKER = "worker", "Run by a worker of ours"

    NOT_IN_LISTS = ("inputs", "final", "sent_digests", "searchable_text", "searchable_tags")
    """What may be large, or is not shown."""
    LIVE = (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.AWAITING)
    FINAL = (Status.FINISHED, Status.ERROR, Status.CANCELLED)
    TRANSITIONS: dict[str, frozenset[str]] = {
        Status.QUEUED: frozenset({Status.STARTING, Status.RUNNING, *FINAL}),
        Status.STARTING: frozenset({Status.RUNNING, Status.AWAITING, *FINAL}),
        Status.RUNNING: frozenset({Status.AWAITING, *FINAL}),
        Status.AWAITING: frozenset({Status.RUNNING, *FINAL}),
        Status.FINISHED: frozenset(),
        Status.ERROR: frozenset(),
        Status.CANCELLED: frozenset(),
    }

    fid = models.CharField(
        max_length=64, editable=False, help_text="The id that clients use; the row's own, if ours."
    )
    source = models.CharField(max_length=16, choices=Source, default=Source.API)
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
        help_text="The agent's credential that reported the execution.",
    )
    user = models.ForeignKey(
        ExecutionUser,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
        help_text="Who launched it.",
    )
    agent_name = NormalizedCharField(max_length=255, default=UNKNOWN_AGENT)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    status_time = models.FloatField(
        null=True, help_text="When its status was emitted: an import takes no older one."
    )
    marked_time = models.FloatField(
        null=True, help_text="When the newest of the events status, final and meta was emitted."
    )
    start_time = models.FloatField(
        help_text="Of the first event; before there is one, when the execution was accepted."
    )
    end_time = models.FloatField(null=True, help_text="Of the last event until now.")
    waiting_seconds = models.FloatField(
        default=0,
        db_default=0,
        help_text="How much of the time from the first to the last event it awaited an answer.",
    )
    meta = models.JSONField(default=dict, help_text="As emitted, with its type tag.")
    inputs = models.JSONField(null=True, help_text="As emitted, with its type tag.")
    final = models.TextField(null=True, help_text="JSON text with a type tag.")  # noqa: DJ001
    error = models.TextField(blank=True, help_text="The newest error, readable, without a trace.")
    error_time = models.FloatField(null=True)
    open_locks = models.JSONField(default=list, help_text="Ids of locks without a lease.")
    upload_count = models.PositiveIntegerField(default=0, help_text="Files directly in `in`.")
    download_count = models.PositiveIntegerField(default=0, help_text="Files directly in `out`.")
    input_file_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Files in `in`, sub-folders included."
    )
    output_file_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Files in `out`, sub-folders included."
    )
    input_tokens = models.PositiveBigIntegerField(null=True)
    output_tokens = models.PositiveBigIntegerField(null=True)
    cost = models.DecimalField(
        max_digits=18, decimal_places=8, null=True, help_text="In US dollars, as reported."
    )
    searchable_text = models.GeneratedField(
        expression=models.Func(
            *("fid", "agent_name", "status", "error", "meta"),
            function="executions_searchable_text",
        ),
        output_field=models.TextField(),
        db_persist=True,
        help_text="What a search looks in, but for the user: NFC, in small letters, a field a "
        "line.",
    )
    searchable_tags = models.GeneratedField(
        expression=models.Func("meta", function="executions_searchable_tags"),
        output_field=ArrayField(models.TextField()),
        db_persist=True,
        help_text="Its tags: NFC, in small letters.",
    )
    sent_digests = models.JSONField(
        default=dict,
        db_default={},
        help_text="Of each field of the requests that made and ended it, to know them again.",
    )
    last_sequence = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="When it last said something, by our clock. A trigger keeps it. It is no order: "
        "what is committed later may have an earlier time.",
    )
    position = models.BigIntegerField(
        db_default=TransactionNumber(),
        editable=False,
        help_text="The transaction in which it last said something. A trigger keeps it.",
    )
    source_position = models.BigIntegerField(
        null=True, help_text="The last row that an import has read of it."
    )
    lease_generation = models.PositiveIntegerField(
        default=0, help_text="The fencing token: grows with each worker that takes over."
    )
    lease_seconds = models.PositiveIntegerField(
        null=True, help_text="How long a lease lasts after each sign of life."
    )
    lease_expires_at = models.DateTimeField(
        null=True, help_text="Not heard of until then, the execution ends as an error."
    )

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        ordering = ["-start_time", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "fid"], name="executions_fid_unique"),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=[
                        *("queued", "starting", "running", "awaiting"),
                        *("finished", "error", "cancelled"),
                    ]
                ),
                name="executions_execution_status_valid",
            ),
        ]
        indexes = [
            # Lists are read in its order; counts and statistics from it alone.
            models.Index(
                fields=["organization", "-start_time", "-id"],
                include=["status", "user", "agent_name", "end_time", "waiting_seconds"],
                name="executions_execution_newest",
            ),
            models.Index(
                fields=["organization", "user", "-start_time"], name="executions_execution_user"
            ),
            models.Index(
                fields=["organization", "agent", "-start_time"], name="executions_execution_agent"
            ),
            # How many run now stands in the frame of every page.
            models.Index(
                fields=["organization", "status"],
                condition=models.Q(status__in=["queued", "starting", "running", "awaiting"]),
                name="executions_execution_live",
            ),
            # What has ended lately, whenever it started.
            models.Index(
                fields=["organization", "end_time"],
                condition=models.Q(status__in=["finished", "error", "cancelled"]),
                name="executions_execution_ended",
            ),
            models.Index(
                fields=["organization", "lease_expires_at"],
                condition=models.Q(lease_expires_at__isnull=False),
                name="executions_execution_lease",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_name} {self.fid}"

    @property
    def has_ended(self) -> bool:
        return self.status in self.FINAL

    @property
    def is_imported(self) -> bool:
        """Whether it runs elsewhere, and is only read here."""
        return self.source == self.Source.KODOSUMI

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.start_time, UTC)

    @property
    def ended_at(self) -> datetime | None:
        """When the last event came, of an execution that has ended."""
        if not self.has_ended or self.end_time is None:
            return None
        return datetime.fromtimestamp(self.end_time, UTC)

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first to the last event; None before there is one."""
        return None if self.end_time is None else self.end_time - self.start_time

    @property
    def runtime(self) -> float | None:
        """The same without the time in which it awaited an answer."""
        return None if self.elapsed is None else self.elapsed - self.waiting_seconds

    @property
    def description(self) -> dict[str, Any]:
        """What `meta` says."""
        return described(self.meta)

    @property
    def summary(self) -> str | None:
        return summary_of(self.meta)

    @property
    def tags(self) -> list[str]:
        return tags_of(self.meta)


def now() -> float:
    """Unix seconds."""
    return timezone.now().timestamp()


def new_execution(organization: Organization, **fields: Any) -> Execution:
    """An execution that is not saved yet; `fid` is its own id unless one is given."""
    key = uuid7()
    fields = {"fid": str(key), "start_time": now()} | fields
    return Execution(id=key, organization=organization, **fields)


class ExecutionEvent(models.Model):
    """Something that an execution said. Append-only; the sequence has no gaps."""

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
    """Their messages are text; all others are JSON with a type tag."""

    pk = models.CompositePrimaryKey("organization_id", "execution_id", "sequence")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.PositiveIntegerField()
    timestamp = models.FloatField(help_text="When it was emitted.")
    kind = models.CharField(max_length=32, help_text="An import keeps kinds that we do not know.")
    message = models.TextField()

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["sequence"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind}"


class ExecutionError(OrganizationScopedModel):
    """An error event made readable, for the list and the groups of errors."""

    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.PositiveIntegerField(help_text="Of its event.")
    timestamp = models.FloatField()
    error_type = models.CharField(max_length=255, blank=True, help_text="The exception's class.")
    message = models.TextField(help_text="Readable, without a trace.")
    fingerprint = models.CharField(
        max_length=40, help_text="Equal for errors that belong together (errors.py)."
    )

    objects = OrganizationScopedQuerySet.as_manager()

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
            models.Index(
                fields=["organization", "fingerprint", "-timestamp"], name="executions_error_group"
            ),
        ]

    def __str__(self) -> str:
        return self.message


class ExecutionFile(OrganizationScopedModel):
    """A file that a person gave to an execution (`in`) or that it made (`out`)."""

    class Area(models.TextChoices):
        IN = "in", "Uploaded"
        OUT = "out", "Made"

    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    area = models.CharField(max_length=3, choices=Area)
    path = NormalizedCharField(max_length=1024, help_text="Inside the area, parts joined by /.")
    size = models.PositiveBigIntegerField()
    last_modified = models.FloatField()
    content = models.FileField(
        max_length=200, help_text="Named by ids alone: no name of a user's reaches the storage."
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "execution", "area", "path"], name="executions_file_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(area__in=["in", "out"]), name="executions_file_area_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.area}/{self.path}"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Upload(OrganizationScopedModel):
    """A file that arrives in parts; it becomes an ExecutionFile when the last part is there."""

    execution = models.ForeignKey(
        Execution,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    area = models.CharField(max_length=3, choices=ExecutionFile.Area)
    path = NormalizedCharField(max_length=1024)
    size = models.PositiveBigIntegerField(help_text="In bytes, of the whole file.")

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "created_at"], name="executions_upload_old")
        ]

    def __str__(self) -> str:
        return f"{self.area}/{self.path}"


class UploadPart(models.Model):
    """Some bytes of an upload. They wait in the database, which every web process sees."""

    pk = models.CompositePrimaryKey("organization_id", "upload_id", "offset")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    upload = models.ForeignKey(
        Upload, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    offset = models.PositiveBigIntegerField()
    content = models.BinaryField()

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["offset"]

    def __str__(self) -> str:
        return f"{self.upload_id} from {self.offset}"


class DeletedExecution(OrganizationScopedModel):
    """What is left of a deleted execution: viewers drop it, an import does not bring it back."""

    fid = models.CharField(max_length=64)
    position = models.BigIntegerField(
        db_default=TransactionNumber(), editable=False, help_text="The transaction that deleted it."
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
    """So much more, or less, is stored. Triggers write it in the transaction that stores, and add
    rows up now and then: the sum of an organization's rows is what it stores. No writer waits for
    another one, as all would for a single row.
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
