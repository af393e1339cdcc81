"""An actor's own executions as a list that a client can keep up to date."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import orjson
from django.db import connection
from django.db.models import Q, TextField
from django.db.models.expressions import RawSQL

from core.days import MAX_TIMESTAMP
from core.long_responses import ROWS_PER_FETCH
from executions.models import DeletedExecution, Execution, ExecutionQuerySet
from executions.queries import BYTES_OF_META
from executions.results import open_locks
from organizations.actors import Actor
from organizations.models import Organization

MAX_CHANGES = 500
MAX_BYTES = 4 * 1024 * 1024
"""Bytes of what the changes in one response contain; the next one has the others."""
FIRST_POSITION = 10**12
"""Positions start here, above all Unix times, which clients may send as well."""
MAX_POSITION = 2**53 - 1
"""The largest integer that every JSON parser represents exactly."""
HORIZON = """
    SELECT pg_snapshot_xmin(now)::text::bigint - 1,
        greatest(pg_snapshot_xmax(now)::text::bigint - 1,
                 pg_current_xact_id_if_assigned()::text::bigint)
    FROM pg_current_snapshot() AS now
"""

MAX_INPUTS_LENGTH = 32 * 1024
"""Bytes of inputs shown in a list, which may have hundreds of executions."""
# As text, which the response contains as it is: as objects they would take twenty times as much
# memory. The stored size is compressed and never larger, so checking it first is a quick test.
SHORT_INPUTS = f"""CASE WHEN pg_column_size("executions_execution"."inputs") <= {MAX_INPUTS_LENGTH}
    AND jsonb_typeof("executions_execution"."inputs") = 'object'
    AND octet_length("executions_execution"."inputs"::text) <= {MAX_INPUTS_LENGTH}
    THEN "executions_execution"."inputs"::text END"""

# What `q` searches, as one text: `author:… organization:…` and so on. Django's expressions cannot
# take the tags apart.
SEARCHED = f"""(SELECT concat_ws(' ',
    'author:' || (told ->> 'author'),
    'organization:' || (told ->> 'organization'),
    'summary:' || (told ->> 'summary'),
    'description:' || (told ->> 'description'),
    'fid:' || "executions_execution"."fid",
    'status:' || "executions_execution"."status",
    (SELECT string_agg('tag:' || tag, ' ') FROM jsonb_array_elements_text(
        CASE jsonb_typeof(told -> 'tags') WHEN 'array' THEN told -> 'tags' ELSE '[]' END
    ) AS tag),
    'startup:' || CASE WHEN "executions_execution"."start_time" BETWEEN 0 AND {MAX_TIMESTAMP}
        THEN to_char((to_timestamp(trunc("executions_execution"."start_time"))
                      + round(("executions_execution"."start_time"
                               - trunc("executions_execution"."start_time")) * 1e6)
                      * interval '1 microsecond') AT TIME ZONE 'UTC',
                     'YYYY-MM-DD"T"HH24:MI:SS.US') END,
    'inputs:' || ("executions_execution"."inputs")::text,
    'final:' || "executions_execution"."final"
) FROM (SELECT coalesce("executions_execution"."meta" -> 'dict',
                        "executions_execution"."meta") AS told) AS described)"""  # noqa: S608 - no user input


@dataclass(frozen=True)
class Changes:
    """Changes after a position, oldest first; `position` is where to continue."""

    updated: Sequence[Execution]
    deleted: Sequence[str]
    position: float


def own_executions(organization: Organization, actor: Actor, search: str = "") -> ExecutionQuerySet:
    """Executions that the actor launched, or runs as an agent, newest first.

    Others that the actor may see are not included.
    """
    own = Execution.objects.for_organization(organization).owned_by(actor)
    own = own.without_content().annotate(
        short_inputs=RawSQL(SHORT_INPUTS, [], TextField()),  # noqa: S611 - a constant
        size=BYTES_OF_META,
    )
    if search:
        own = own.annotate(searched=RawSQL(SEARCHED, [], TextField()))  # noqa: S611 - a constant
        own = own.filter(searched__contains_text=search)
    return own


def older_than(executions: ExecutionQuerySet, fid: str) -> ExecutionQuerySet:
    """The executions that follow this one in the list.

    A deleted one is located by the time in its id (ObjectId, UUIDv7).
    """
    found = executions.filter(fid=fid).values_list("start_time", "pk").first()
    if found is None:
        return executions.filter(fid__lt=fid)
    start, key = found
    return executions.filter(Q(start_time__lt=start) | Q(start_time=start, pk__lt=key))


def newer_than(executions: ExecutionQuerySet, fid: str) -> ExecutionQuerySet:
    found = executions.filter(fid=fid).values_list("start_time", "pk").first()
    if found is None:
        return executions.filter(fid__gt=fid)
    start, key = found
    return executions.filter(Q(start_time__gt=start) | Q(start_time=start, pk__gt=key))


def current_position() -> float:
    """The position from which a client that has everything so far continues."""
    return FIRST_POSITION + _horizon()[0]


def changes(
    organization: Organization, actor: Actor, since: float, executions: ExecutionQuerySet
) -> Changes:
    """The `executions` that changed after `since`, and the actor's that were deleted.

    `since` is a position, or a time for a client that has none yet. A position precedes every
    transaction still in progress, so that its changes may be reported twice but are never missed.
    At most 500 of each are returned and at most 4 MiB of them, plus those written together with the
    last one, without their inputs beyond that size.
    """
    settled, newest = _horizon()
    if since >= FIRST_POSITION + newest + 1:
        since = FIRST_POSITION  # The position is from before a backup was restored.
    updated, ends = _following(executions, "changed_at", since, settled, newest)
    deleted, others = _following(
        _own_deleted(organization, actor), "created_at", since, settled, newest
    )
    # Without changes of its own, an actor's position does not say that others changed something.
    is_same = since >= FIRST_POSITION and not (updated or deleted)
    reached = since if is_same else FIRST_POSITION + settled
    return Changes(updated, [each.fid for each in deleted], min([*ends, *others], default=reached))


def _horizon() -> tuple[int, int]:
    """The last transaction id up to which all have ended, and the newest transaction id.

    Read it before the rows: these then include everything up to the first id.
    """
    with connection.cursor() as cursor:
        cursor.execute(HORIZON)
        settled, newest = cursor.fetchone()
    return settled, newest


def _following(
    rows: Any, clock: str, since: float, settled: int, newest: int
) -> tuple[list[Any], list[float]]:
    """The rows after `since`, oldest change first, and where to continue unless all were
    returned.
    """
    if since < FIRST_POSITION:
        moment = datetime.fromtimestamp(since, UTC)
        taken = Taken().take(rows.filter(**{f"{clock}__gt": moment}).order_by(clock))
        return taken.rows, [getattr(taken.rows[-1], clock).timestamp()] if taken.is_full else []
    after = since - FIRST_POSITION
    ready = rows.filter(position__gt=after, position__lte=settled)
    taken = Taken().take(ready.order_by("position", "pk"))
    if taken.is_full:
        last = taken.rows[-1]
        together = rows.filter(position=last.position, pk__gt=last.pk).order_by("pk")
        return [*taken.rows, *taken.beyond(together)], [FIRST_POSITION + last.position]
    # Prefer the newest: repeated changes must not hold back new ones.
    unsettled = rows.filter(position__gt=max(after, settled), position__lte=newest)
    number = len(taken.rows)
    taken.take(unsettled.order_by("-position", "-pk"))
    return [*taken.rows[:number], *reversed(taken.rows[number:])], []


class Taken:
    """Rows up to MAX_CHANGES and to MAX_BYTES, but at least one; no more are held in memory."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= MAX_CHANGES or self.bytes > MAX_BYTES

    def take(self, rows: Any) -> Self:
        for row in rows[: MAX_CHANGES - len(self.rows)].iterator(ROWS_PER_FETCH):
            self.rows.append(row)
            self.bytes += size_of(row)
            if self.is_full:
                break
        return self

    def beyond(self, rows: Any) -> Iterator[Any]:
        """Further rows, which cannot wait for the next response, without what makes them large."""
        for row in rows.iterator(ROWS_PER_FETCH):
            self.bytes += size_of(row)
            if self.bytes > MAX_BYTES:
                row.short_inputs = None
            yield row


def size_of(row: Any) -> int:
    """Roughly how many bytes of an execution are read for a response; 0 for a deletion, which is
    an id.
    """
    if isinstance(row, DeletedExecution):
        return 0
    return row.size + len(row.short_inputs or "") + sum(map(len, row.open_locks))


def _own_deleted(organization: Organization, actor: Actor) -> Any:
    deleted = DeletedExecution.objects.for_organization(organization)
    if actor.id is None:
        return deleted.none()
    if actor.kind == "agent":
        return deleted.filter(agent_id=actor.id)
    return deleted.filter(user__user_id=actor.id)


def item(execution: Any) -> dict[str, Any]:
    """An execution of `own_executions` for the timeline. `finish` is the time of its newest
    event, even while it runs.
    """
    return {
        "fid": execution.fid,
        "tags": execution.tags,
        "summary": execution.summary,
        "inputs": execution.short_inputs and orjson.Fragment(execution.short_inputs),
        "status": execution.status,
        "startup": _iso(execution.start_time),
        "finish": _iso(execution.end_time),
        "runtime": execution.elapsed,
        "locks": open_locks(execution),
    }


def _iso(seconds: float | None) -> str | None:
    """ISO 8601 with microseconds and offset; None for no time or one outside the calendar."""
    if seconds is None or not 0 <= seconds <= MAX_TIMESTAMP:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
