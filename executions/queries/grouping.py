"""Errors grouped by fingerprint."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery

from executions.filters import EVERYTHING, Filters
from executions.queries.buckets import cut, place_in
from executions.queries.error_counts import GroupCount, count_by_days, count_groups
from executions.queries.in_time import DAY, Spans
from executions.queries.listing import visible_errors
from organizations.actors import Actor
from organizations.models import Organization

Choose = Callable[[QuerySet[Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class ErrorGroup:
    """The errors of one fingerprint, across all agents.

    Numbers cover the window; `first_seen` is the first occurrence ever. Times are Unix seconds.
    """

    fingerprint: str
    error_type: str
    message: str
    """The message of the newest error."""
    agent_names: tuple[str, ...]
    count: int
    executions: int
    users: int
    first_seen: float
    last_seen: float
    sparkline: tuple[int, ...]
    """The number of errors in each bucket, oldest first."""


@dataclass(frozen=True)
class ErrorGroups:
    """One page of groups, most recently seen first.

    `total` counts all groups; `starts` are those of the buckets.
    """

    total: int
    rows: tuple[ErrorGroup, ...]
    step: str
    starts: tuple[datetime, ...]


def error_groups(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    choose: Choose = lambda groups: list(groups[:100]),
    until: float | None = None,
    zone: tzinfo = UTC,
) -> ErrorGroups:
    """Group the errors of the window by fingerprint, most recently seen first.

    `choose` takes all groups and returns those of the page. Errors stored after `until` (Unix
    seconds) are ignored.
    """
    rows = visible_errors(organization, actor, filters).order_by()
    ever = visible_errors(organization, actor, filters.without_window())
    spans = Spans.of(actor, filters) if until is None else None
    if spans:
        total, groups = _from_counts(count_groups(organization, spans, filters), ever, choose)
    else:
        if until is not None:
            rows = rows.filter(created_at__lte=datetime.fromtimestamp(until, UTC))
        total, groups = _from_rows(rows, ever, choose)
    chosen = rows.filter(fingerprint__in=[group["fingerprint"] for group in groups])
    executions = dict(
        chosen.values_list("fingerprint").annotate(Count("execution_id", distinct=True))
    )
    first = min((group["first_seen"] for group in groups), default=None)
    last = max((group["last_seen"] for group in groups), default=None)
    step, starts, _ = cut(filters, zone, first, last)
    edges = [start.timestamp() for start in starts]
    has_whole_days = not any(edge % DAY for edge in edges)
    days = Spans.of(actor, filters, DAY) if spans and has_whole_days else None
    if days:
        numbers = count_by_days(organization, days, filters, list(executions), edges)
    else:
        placed = chosen.annotate(place=place_in("timestamp", starts))
        numbers = list(placed.values_list("fingerprint", "place").annotate(number=Count("*")))
    sparklines: dict[str, list[int]] = defaultdict(lambda: [0] * len(starts))
    for fingerprint, place, number in numbers:
        sparklines[fingerprint][max(place - 1, 0)] += number
    return ErrorGroups(
        total,
        tuple(
            ErrorGroup(
                **{**group, "agent_names": tuple(group["agent_names"])},
                executions=executions[group["fingerprint"]],
                sparkline=tuple(sparklines[group["fingerprint"]]),
            )
            for group in groups
        ),
        step,
        starts,
    )


def _from_counts(
    counts: Sequence[GroupCount], ever: QuerySet[Any], choose: Choose
) -> tuple[int, list[dict[str, Any]]]:
    """The number of groups, and the chosen ones, from what a rollup counted."""
    newest = ever.filter(pk__in=[each.newest for each in counts])
    groups = choose(
        newest.annotate(last_seen=F("timestamp"), first_seen=_first_seen(ever))
        .order_by("-last_seen", "fingerprint")
        .values("fingerprint", "error_type", "message", "last_seen", "first_seen")
    )
    by_fingerprint = {each.fingerprint: each for each in counts}
    for group in groups:
        found = by_fingerprint[group["fingerprint"]]
        group |= {"count": found.errors, "users": found.users, "agent_names": found.agent_names}
    return len(counts), groups


def _from_rows(
    rows: QuerySet[Any], ever: QuerySet[Any], choose: Choose
) -> tuple[int, list[dict[str, Any]]]:
    """The same, from the errors themselves."""
    total = rows.aggregate(total=Count("fingerprint", distinct=True))["total"]
    groups = choose(
        rows.values("fingerprint")
        .annotate(
            count=Count("id"),
            users=Count("execution__user_id", distinct=True),
            agent_names=ArrayAgg("execution__agent_name", distinct=True),
            last_seen=Max("timestamp"),
        )
        .order_by("-last_seen", "fingerprint")
    )
    newest = {
        row["fingerprint"]: row
        for row in rows.filter(fingerprint__in=[group["fingerprint"] for group in groups])
        .order_by("fingerprint", "-timestamp", "-id")
        .distinct("fingerprint")
        .annotate(first_seen=_first_seen(ever))
        .values("fingerprint", "error_type", "message", "first_seen")
    }
    return total, [group | newest[group["fingerprint"]] for group in groups]


def _first_seen(ever: QuerySet[Any]) -> Subquery:
    alike = ever.filter(fingerprint=OuterRef("fingerprint"))
    return Subquery(alike.order_by("timestamp").values("timestamp")[:1])
