"""Errors grouped by fingerprint."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max, Min, QuerySet

from executions.filters import EVERYTHING, Filters
from executions.queries.buckets import cut, place_in
from executions.queries.listing import visible_errors
from organizations.actors import Actor
from organizations.models import Organization


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


@dataclass(frozen=True)
class GroupTotal:
    """The errors of a group in the window, whichever agent reported them."""

    count: int
    agents: int


def group_totals(
    organization: Organization, actor: Actor, filters: Filters, fingerprints: Collection[str]
) -> dict[str, GroupTotal]:
    """The totals of these groups by fingerprint."""
    rows = visible_errors(organization, actor, filters).filter(fingerprint__in=fingerprints)
    counts = (
        rows.order_by()
        .values_list("fingerprint")
        .annotate(Count("id"), Count("execution__agent_name", distinct=True))
    )
    return {fingerprint: GroupTotal(count, agents) for fingerprint, count, agents in counts}


def error_groups(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    choose: Callable[[QuerySet[Any]], list[dict[str, Any]]] = lambda groups: list(groups[:100]),
    until: float | None = None,
    zone: tzinfo = UTC,
) -> ErrorGroups:
    """Group the errors of the window by fingerprint, most recently seen first.

    `choose` takes all groups and returns those of the page. Errors stored after `until` (Unix
    seconds) are ignored.
    """
    rows = visible_errors(organization, actor, filters).order_by()
    if until is not None:
        rows = rows.filter(created_at__lte=datetime.fromtimestamp(until, UTC))
    total = rows.aggregate(total=Count("fingerprint", distinct=True))["total"]
    groups = choose(
        rows.values("fingerprint")
        .annotate(
            count=Count("id"),
            executions=Count("execution_id", distinct=True),
            users=Count("execution__user_id", distinct=True),
            agent_names=ArrayAgg("execution__agent_name", distinct=True),
            last_seen=Max("timestamp"),
        )
        .order_by("-last_seen", "fingerprint")
    )
    chosen = rows.filter(fingerprint__in=[group["fingerprint"] for group in groups])
    newest = {
        row["fingerprint"]: row
        for row in chosen.order_by("fingerprint", "-timestamp", "-id")
        .distinct("fingerprint")
        .values("fingerprint", "error_type", "message")
    }
    ever = visible_errors(organization, actor, filters.without_window())
    first_seen = dict(
        ever.filter(fingerprint__in=list(newest))
        .order_by()
        .values_list("fingerprint")
        .annotate(Min("timestamp"))
    )
    step, starts, _ = cut(chosen, "timestamp", filters, zone)
    sparklines: dict[str, list[int]] = defaultdict(lambda: [0] * len(starts))
    for fingerprint, place, number in (
        chosen.annotate(place=place_in("timestamp", starts))
        .values_list("fingerprint", "place")
        .annotate(Count("id"))
    ):
        sparklines[fingerprint][max(place - 1, 0)] += number
    return ErrorGroups(
        total,
        tuple(
            ErrorGroup(
                **{**group, "agent_names": tuple(group["agent_names"])},
                error_type=newest[group["fingerprint"]]["error_type"],
                message=newest[group["fingerprint"]]["message"],
                first_seen=first_seen[group["fingerprint"]],
                sparkline=tuple(sparklines[group["fingerprint"]]),
            )
            for group in groups
        ),
        step,
        starts,
    )
