"""Executions, each one run of an agent.

Times are Unix seconds as double precision, because engines write them so and expect to read back
exactly the same digits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from core.ids import uuid7
from core.text import NormalizedCharField
from executions.described import described, summary_of, tags_of
from executions.models.columns import TransactionNumber
from executions.models.person import ExecutionUser
from organizations.actors import Actor
from organizations.models import (
    Membership,
    Organization,
    OrganizationScopedModel,
    OrganizationScopedQuerySet,
)
from tokens.models import Credential

RESERVED_IDS = frozenset({"errors", "export", "statistics", "timeline"})
"""Words used in URLs of pages in place of an execution's id. Engines cannot choose them;
existing ones have a URL of their own.
"""
UNKNOWN_AGENT = "Unknown"
"""The agent's name until one is reported."""
OPERATORS = frozenset({Membership.Role.OPERATOR, Membership.Role.ADMIN, Membership.Role.OWNER})


class ExecutionQuerySet(OrganizationScopedQuerySet):
    def visible_to(self, actor: Actor) -> Self:
        """The executions that the actor may see: all for operators and the system, otherwise
        their own.
        """
        return self if sees_all(actor) else self.owned_by(actor)

    def owned_by(self, actor: Actor) -> Self:
        """The executions that the person launched, or that the agent runs."""
        if actor.id is None:
            return self.none()
        if actor.kind == "agent":
            return self.filter(agent_id=actor.id)
        return self.filter(user__user_id=actor.id)

    def without_content(self) -> Self:
        """Leave out the large fields, for lists and for rows that are saved again."""
        return self.defer(*Execution.NOT_IN_LISTS)

    def live(self) -> Self:
        return self.exclude(status__in=Execution.FINAL)


def sees_all(actor: Actor) -> bool:
    """Whether the actor may see everyone's executions in the organization."""
    return actor.kind in {"staff", "system"} or actor.role in OPERATORS


class Execution(OrganizationScopedModel):
    """A run of an agent. Its state follows from its events; see event_log.py."""

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
        WORKER = "worker", "Run by an AgentIdP worker"

    NOT_IN_LISTS = ("inputs", "final", "sent_digests", "searchable_text", "searchable_tags")
    """Fields that may be large or are not shown."""
    LIVE = (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.AWAITING)
    FINAL = (Status.FINISHED, Status.ERROR, Status.CANCELLED)
    FAILED = Status.ERROR
    """The status that every page, number and link means by "failed"; measures.py defines it in
    words.
    """
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
        max_length=64,
        editable=False,
        help_text=(
            "The public id. Equal to the primary key unless it was given by the reporter or "
            "an import."
        ),
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
        help_text="The person who launched it.",
    )
    agent_name = NormalizedCharField(max_length=255, default=UNKNOWN_AGENT)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    status_time = models.FloatField(
        null=True, help_text="When the status was emitted. An import ignores older ones."
    )
    marked_time = models.FloatField(
        null=True, help_text="When the newest status, final or meta event was emitted."
    )
    start_time = models.FloatField(
        help_text=(
            "When the first event was emitted; before that, when the execution was accepted."
        )
    )
    end_time = models.FloatField(null=True, help_text="When the latest event was emitted.")
    waiting_seconds = models.FloatField(
        default=0,
        db_default=0,
        help_text="How long it waited for answers between its first and its last event.",
    )
    runtime_seconds = models.FloatField(
        null=True,
        editable=False,
        help_text="The runtime of one that has ended, if it has any; set by a trigger.",
    )
    runtime_bin = models.SmallIntegerField(
        null=True, editable=False, help_text="The bin of that runtime; set by the same trigger."
    )
    meta = models.JSONField(default=dict, help_text="As emitted, with its type tag.")
    inputs = models.JSONField(null=True, help_text="As emitted, with its type tag.")
    final = models.TextField(null=True, help_text="As JSON text with a type tag.")  # noqa: DJ001
    error = models.TextField(
        blank=True, help_text="The message of the newest error, without a traceback."
    )
    error_time = models.FloatField(null=True)
    open_locks = models.JSONField(
        default=list, help_text="The ids of locks that wait for an answer."
    )
    upload_count = models.PositiveIntegerField(
        default=0, help_text="Number of files directly in `in`."
    )
    download_count = models.PositiveIntegerField(
        default=0, help_text="Number of files directly in `out`."
    )
    input_file_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Number of files in `in`, subfolders included."
    )
    output_file_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Number of files in `out`, subfolders included."
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
        help_text=(
            "The text that a search matches, apart from the user: NFC, lower case, one "
            "field per line."
        ),
    )
    searchable_tags = models.GeneratedField(
        expression=models.Func("meta", function="executions_searchable_tags"),
        output_field=ArrayField(models.TextField()),
        db_persist=True,
        help_text="Its tags in NFC and lower case.",
    )
    sent_digests = models.JSONField(
        default=dict,
        db_default={},
        help_text=(
            "A hash of each field of the requests that created and finished it, to "
            "recognize a repeated request."
        ),
    )
    last_sequence = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text=(
            "When it last changed, by the database's clock; set by a trigger. Not an order: "
            "a later commit may have an earlier time."
        ),
    )
    position = models.BigIntegerField(
        db_default=TransactionNumber(),
        editable=False,
        help_text="The transaction in which it last changed; set by a trigger.",
    )
    source_position = models.BigIntegerField(
        null=True, help_text="The last source row that an import has read."
    )
    lease_generation = models.PositiveIntegerField(
        default=0,
        help_text=("The fencing token. It grows with each worker that takes the lease over."),
    )
    lease_seconds = models.PositiveIntegerField(
        null=True, help_text="How long the lease lasts after each sign of life."
    )
    lease_expires_at = models.DateTimeField(
        null=True,
        help_text=("The execution ends as an error when nothing is heard from it until then."),
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
            # Gives the order of lists, and covers counts and statistics.
            models.Index(
                fields=["organization", "-start_time", "-id"],
                include=[
                    *("status", "user", "agent_name", "end_time", "waiting_seconds"),
                    "runtime_bin",
                ],
                name="executions_execution_newest",
            ),
            models.Index(
                fields=["organization", "user", "-start_time"], name="executions_execution_user"
            ),
            models.Index(
                fields=["organization", "agent", "-start_time"], name="executions_execution_agent"
            ),
            # The frame of every page shows the number of running executions.
            models.Index(
                fields=["organization", "status"],
                condition=models.Q(status__in=["queued", "starting", "running", "awaiting"]),
                name="executions_execution_live",
            ),
            # Recently ended executions, whenever they started, and their statistics.
            models.Index(
                fields=["organization", "end_time"],
                include=["status", "user", "agent_name", "start_time", "runtime_bin"],
                condition=models.Q(status__in=["finished", "error", "cancelled"]),
                name="executions_execution_ended",
            ),
            # Retention, by our own clock first: whatever engines say, nothing newer is read.
            models.Index(
                fields=["organization", "changed_at"],
                include=["start_time", "end_time"],
                condition=models.Q(status__in=["finished", "error", "cancelled"]),
                name="executions_execution_received",
            ),
            # Percentiles: the runtimes of one bin, by each of the clocks that a window goes by.
            models.Index(
                fields=["organization", "runtime_bin", "start_time"],
                include=["runtime_seconds"],
                condition=models.Q(runtime_bin__isnull=False),
                name="executions_execution_bin",
            ),
            models.Index(
                fields=["organization", "runtime_bin", "end_time"],
                include=["runtime_seconds"],
                condition=models.Q(runtime_bin__isnull=False),
                name="executions_execution_end_bin",
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
        """Whether the execution runs elsewhere and is only read here."""
        return self.source == self.Source.KODOSUMI

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.start_time, UTC)

    @property
    def ended_at(self) -> datetime | None:
        """When the execution ended, which is the time of its last event; None while it is live."""
        if not self.has_ended or self.end_time is None:
            return None
        return datetime.fromtimestamp(self.end_time, UTC)

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first to the last event; None before the first."""
        return None if self.end_time is None else self.end_time - self.start_time

    @property
    def runtime(self) -> float | None:
        """`elapsed` minus the time spent waiting for answers."""
        return None if self.elapsed is None else self.elapsed - self.waiting_seconds

    @property
    def description(self) -> dict[str, Any]:
        """The description that `meta` holds."""
        return described(self.meta)

    @property
    def summary(self) -> str | None:
        return summary_of(self.meta)

    @property
    def tags(self) -> list[str]:
        return tags_of(self.meta)


def now() -> float:
    """The current time in Unix seconds."""
    return timezone.now().timestamp()


def new_execution(organization: Organization, **fields: Any) -> Execution:
    """An unsaved execution; `fid` defaults to its own id."""
    key = uuid7()
    fields = {"fid": str(key), "start_time": now()} | fields
    return Execution(id=key, organization=organization, **fields)
