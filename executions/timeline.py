"""A person's own executions as a list that keeps itself up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import JSONField, Max, Q, TextField
from django.db.models.expressions import RawSQL

from executions.models import DeletedExecution, Execution, ExecutionQuerySet
from executions.outputs import open_locks
from organizations.actors import Actor
from organizations.models import Organization

MOST_CHANGES = 500
LATEST = 253_402_300_799
"""The last second of the year 9999."""

LONGEST_INPUTS = 32 * 1024
"""Bytes of inputs that a list shows, of up to a thousand executions at once."""
# What the column stores is compressed, and so never longer: the first look is the quick one.
SHORT_INPUTS = f"""CASE WHEN pg_column_size("executions_execution"."inputs") <= {LONGEST_INPUTS}
    AND octet_length("executions_execution"."inputs"::text) <= {LONGEST_INPUTS}
    THEN "executions_execution"."inputs" END"""

# What `q` searches, as one text: `author:… organization:…` and so on. Django's expressions cannot
# take the tags apart.
SEARCHED = """(SELECT concat_ws(' ',
    'author:' || (told ->> 'author'),
    'organization:' || (told ->> 'organization'),
    'summary:' || (told ->> 'summary'),
    'description:' || (told ->> 'description'),
    'fid:' || "executions_execution"."fid",
    'status:' || "executions_execution"."status",
    (SELECT string_agg('tag:' || tag, ' ') FROM jsonb_array_elements_text(
        CASE jsonb_typeof(told -> 'tags') WHEN 'array' THEN told -> 'tags' ELSE '[]' END
    ) AS tag),
    'startup:' || CASE WHEN "executions_execution"."start_time" BETWEEN 0 AND 253402300799
        THEN to_char((to_timestamp(trunc("executions_execution"."start_time"))
                      + round(("executions_execution"."start_time"
                               - trunc("executions_execution"."start_time")) * 1e6)
                      * interval '1 microsecond') AT TIME ZONE 'UTC',
                     'YYYY-MM-DD"T"HH24:MI:SS.US') END,
    'inputs:' || ("executions_execution"."inputs")::text,
    'final:' || "executions_execution"."final"
) FROM (SELECT coalesce("executions_execution"."meta" -> 'dict',
                        "executions_execution"."meta") AS told) AS described)"""


@dataclass(frozen=True)
class Changes:
    """What changed after a moment, the oldest change first; `timestamp` is where to go on."""

    updated: Sequence[Execution]
    deleted: Sequence[str]
    timestamp: float


def own_executions(organization: Organization, actor: Actor, search: str = "") -> ExecutionQuerySet:
    """Newest first: those that the actor launched, or runs as an agent, whatever else it sees."""
    own = Execution.objects.for_organization(organization).owned_by(actor)
    own = own.defer("final", "inputs").annotate(
        short_inputs=RawSQL(SHORT_INPUTS, [], JSONField())  # noqa: S611 - a constant
    )
    if search:
        own = own.annotate(searched=RawSQL(SEARCHED, [], TextField()))  # noqa: S611 - a constant
        own = own.filter(searched__icontains=search)
    return own


def older_than(executions: ExecutionQuerySet, fid: str) -> ExecutionQuerySet:
    """Those that come after this one in the list. One that is gone is sought by its id, which
    says when it began (ObjectId, UUIDv7)."""
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


def newest_change(organization: Organization, actor: Actor) -> float:
    """When one of the actor's own executions last changed or was deleted; 0 before there is one."""
    own = own_executions(organization, actor).order_by()
    changed = own.aggregate(found=Max("changed_at"))["found"]
    deleted = _own_deleted(organization, actor).aggregate(found=Max("created_at"))["found"]
    return max((moment.timestamp() for moment in (changed, deleted) if moment), default=0.0)


def changes(
    organization: Organization, actor: Actor, since: float, executions: ExecutionQuerySet
) -> Changes:
    """Which of `executions` changed after `since`, and which of the actor's were deleted.

    At most 500 of each at a time; `timestamp` then lies before what is left.
    """
    moment = datetime.fromtimestamp(since, UTC)
    updated = list(executions.filter(changed_at__gt=moment).order_by("changed_at")[:MOST_CHANGES])
    deleted = list(
        _own_deleted(organization, actor)
        .filter(created_at__gt=moment)
        .order_by("created_at")
        .values_list("fid", "created_at")[:MOST_CHANGES]
    )
    ends = [newest_change(organization, actor)]
    if len(updated) == MOST_CHANGES:
        ends.append(updated[-1].changed_at.timestamp())
    if len(deleted) == MOST_CHANGES:
        ends.append(deleted[-1][1].timestamp())
    return Changes(updated, [fid for fid, _ in deleted], max(since, min(ends)))


def _own_deleted(organization: Organization, actor: Actor) -> Any:
    deleted = DeletedExecution.objects.for_organization(organization)
    if actor.id is None:
        return deleted.none()
    if actor.kind == "agent":
        return deleted.filter(agent_id=actor.id)
    return deleted.filter(user__user_id=actor.id)


def item(execution: Any) -> dict[str, Any]:
    """One of `own_executions` as the timeline shows it. `finish` is its newest event, also while
    it runs."""
    return {
        "fid": execution.fid,
        "tags": execution.tags,
        "summary": execution.summary,
        "inputs": execution.short_inputs if isinstance(execution.short_inputs, dict) else None,
        "status": execution.status,
        "startup": _iso(execution.start_time),
        "finish": _iso(execution.end_time),
        "runtime": execution.runtime,
        "locks": open_locks(execution),
    }


def _iso(seconds: float | None) -> str | None:
    """With microseconds and zone; None for no time, and for one that no calendar has."""
    if seconds is None or not 0 <= seconds <= LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
