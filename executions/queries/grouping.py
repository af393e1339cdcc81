"""Errors grouped by fingerprint."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery

from executions.filters import EVERYTHING, Filters
from executions.models import ErrorState
from executions.queries.buckets import cut, place_in
from executions.queries.error_counts import MAX_NAMES, GroupCount, count_by_days, count_groups
from executions.queries.error_states import ANY_STATE, GroupState, StateFilter, group_states
from executions.queries.in_time import DAY, Spans
from executions.queries.listing import visible_errors
from organizations.actors import Actor
from organizations.models import Organization

Order = Literal["newest", "largest"]
Choose = Callable[[QuerySet[Any], int], list[dict[str, Any]]]
ChooseSome = Callable[[QuerySet[Any]], list[dict[str, Any]]]


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
    """Of MAX_NAMES agents at most; `agents` says how many there are."""
    agents: int
    count: int
    executions: int
    users: int
    first_seen: float
    last_seen: float
    sparkline: tuple[int, ...]
    """The number of errors in each bucket, oldest first."""
    state: GroupState


@dataclass(frozen=True)
class ErrorGroups:
    """Some groups of a window.

    `total` counts all groups; `starts` are those of the buckets.
    """

    total: int
    rows: tuple[ErrorGroup, ...]
    step: str
    starts: tuple[datetime, ...]


class FirstNames(ArrayAgg):
    """MAX_NAMES of the names."""

    template = f"({ArrayAgg.template})[:{MAX_NAMES}]"


def error_groups(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    order: Order = "newest",
    limit: int = 100,
    states: StateFilter = ANY_STATE,
    choose: Choose | None = None,
    until: float | None = None,
    zone: tzinfo = UTC,
) -> ErrorGroups:
    """Group the errors of the window by fingerprint: the most recently seen groups first, or those
    with most errors.

    A list with a cursor passes `choose` in place of `order` and `limit`. It gets all groups, most
    recently seen first, and their number, and returns those of its page; it may filter by
    `last_seen` and `fingerprint`, and no other column. Errors stored after `until` (Unix seconds)
    are ignored, but not by `states`, which are those of now.
    """
    choose = choose or (lambda groups, total: list(groups[:limit]))
    rows = visible_errors(organization, actor, filters).order_by()
    ever = visible_errors(organization, actor, filters.without_window())
    spans = Spans.of(actor, filters) if until is None else None

    def in_states(newest: dict[str, UUID]) -> set[str]:
        found = group_states(organization, actor, newest)
        return {fingerprint for fingerprint, each in found.items() if states.matches(each)}

    if spans:
        counts = count_groups(organization, spans, filters)
        if states:
            matching = in_states({each.fingerprint: each.newest for each in counts})
            counts = [each for each in counts if each.fingerprint in matching]
        total = len(counts)
        if order == "largest":
            counts = sorted(counts, key=lambda each: (-each.errors, each.fingerprint))[:limit]
        groups = _from_counts(counts, ever, lambda rows: choose(rows, total))
    else:
        if until is not None:
            rows = rows.filter(created_at__lte=datetime.fromtimestamp(until, UTC))
        if states:
            one_of_each = rows.order_by("fingerprint").distinct("fingerprint")
            newest = dict(one_of_each.values_list("fingerprint", "pk"))
            rows = rows.filter(fingerprint__in=in_states(newest))
        total = rows.aggregate(total=Count("fingerprint", distinct=True))["total"]
        groups = _from_rows(rows, ever, lambda rows: choose(rows, total), order)
    if order == "largest":
        groups.sort(key=lambda group: (-group["count"], group["fingerprint"]))
    found = group_states(
        organization, actor, {group["fingerprint"]: group.pop("newest") for group in groups}
    )
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
                executions=executions.get(group["fingerprint"], 0),  # deleted since
                sparkline=tuple(sparklines[group["fingerprint"]]),
                state=found.get(group["fingerprint"], GroupState(ErrorState.ONGOING)),
            )
            for group in groups
        ),
        step,
        starts,
    )


def _from_counts(
    counts: Sequence[GroupCount], ever: QuerySet[Any], choose: ChooseSome
) -> list[dict[str, Any]]:
    """The chosen groups, from what a rollup counted."""
    by_fingerprint = {each.fingerprint: each for each in counts}
    newest = ever.filter(
        pk__in=[each.newest for each in counts], fingerprint__in=list(by_fingerprint)
    )
    groups = choose(
        newest.annotate(last_seen=F("timestamp"), first_seen=_first_seen(ever))
        .order_by("-last_seen", "fingerprint")
        .values("fingerprint", "error_type", "message", "last_seen", "first_seen")
    )
    for group in groups:
        found = by_fingerprint[group["fingerprint"]]
        group |= {"count": found.errors, "users": found.users}
        group |= {"newest": found.newest, "agent_names": found.agent_names, "agents": found.agents}
    return groups


def _from_rows(
    rows: QuerySet[Any], ever: QuerySet[Any], choose: ChooseSome, order: Order
) -> list[dict[str, Any]]:
    """The same, from the errors themselves."""
    groups = choose(
        rows.values("fingerprint")
        .annotate(
            count=Count("id"),
            users=Count("execution__user_id", distinct=True),
            agents=Count("execution__agent_name", distinct=True),
            agent_names=FirstNames("execution__agent_name", distinct=True),
            last_seen=Max("timestamp"),
        )
        .order_by("-last_seen" if order == "newest" else "-count", "fingerprint")
    )
    newest = {
        row["fingerprint"]: row
        for row in rows.filter(fingerprint__in=[group["fingerprint"] for group in groups])
        .order_by("fingerprint", "-timestamp", "-id")
        .distinct("fingerprint")
        .annotate(first_seen=_first_seen(ever))
        .values("fingerprint", "error_type", "message", "first_seen", newest=F("pk"))
    }
    there = (group for group in groups if group["fingerprint"] in newest)  # others deleted since
    return [group | newest[group["fingerprint"]] for group in there]


def _first_seen(ever: QuerySet[Any]) -> Subquery:
    alike = ever.filter(fingerprint=OuterRef("fingerprint"))
    return Subquery(alike.order_by("timestamp").values("timestamp")[:1])
