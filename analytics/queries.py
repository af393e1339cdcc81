"""The numbers of analytics: `(organization, period, …)` in, frozen dataclasses out, gaps filled.

Every function runs inside the organization's scope. Rollups answer wherever they can; token events
only where an agent's hours in a zone are wanted, or the edges of a month in a zone.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, Max, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Extract, Floor

from agents.models import Agent
from analytics.metrics import METRICS, Metric
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage, HourUsage, QuarterUsage
from analytics.periods import DAY, Period
from organizations.models import Organization, OrganizationScopedQuerySet
from tokens.models import TokenEvent

HOURS_OF_WEEK = 168
FIRST_HOUR_OF_WEEK = 96
"""1970-01-01 was a Thursday, and weeks start on Sunday here."""
FIRST_DAY = date(1970, 1, 1)
RESOLUTION = timedelta(microseconds=1)
Part = tuple[OrganizationScopedQuerySet, Combinable, Combinable]
"""Rows, how to count them, and how to find their newest event."""


@dataclass(frozen=True)
class DayCount:
    date: date
    count: int


@dataclass(frozen=True)
class HourCount:
    """A cell of the heatmap: `dow` 0 is Sunday."""

    dow: int
    hour: int
    count: int


@dataclass(frozen=True)
class AgentCount:
    """An agent's tokens in a period. `last_at` is its newest event in that period."""

    agent_id: UUID
    count: int
    last_at: datetime | None


@dataclass(frozen=True)
class Narrowing:
    """Which part of the organization's traffic is asked for."""

    agent_id: UUID | None = None
    credential_id: UUID | None = None

    def __bool__(self) -> bool:
        return self.agent_id is not None or self.credential_id is not None

    @property
    def filters(self) -> dict[str, UUID]:
        wanted = {"agent_id": self.agent_id, "credential_id": self.credential_id}
        return {name: value for name, value in wanted.items() if value is not None}


EVERYTHING = Narrowing()


def count_by_day(
    organization: Organization,
    period: Period,
    metric: Metric = METRICS["issued"],
    narrowing: Narrowing = EVERYTHING,
) -> tuple[DayCount, ...]:
    """The metric for every day of the period, oldest first, zero where nothing happened."""
    if narrowing and period.is_utc:
        rows = (
            AgentDayUsage.objects.for_organization(organization)
            .filter(day__range=(period.first, period.last), **narrowing.filters)
            .values("day")
            .annotate(count=metric.aggregate)
        )
        counts = {row["day"]: row["count"] for row in rows}
    else:
        day = F("local_hour") / Value(24)
        hours = _counts_by(day, organization, period, metric, narrowing)
        counts = {FIRST_DAY + bucket * DAY: count for bucket, count in hours.items()}
    return tuple(DayCount(day, counts.get(day, 0)) for day in period.dates)


def count_by_hour_of_week(
    organization: Organization,
    period: Period,
    metric: Metric = METRICS["requests"],
    narrowing: Narrowing = EVERYTHING,
) -> tuple[HourCount, ...]:
    """The metric by weekday and hour of the period's zone: cells above zero, Sunday 0:00 first."""
    cell = (F("local_hour") + Value(FIRST_HOUR_OF_WEEK)) % Value(HOURS_OF_WEEK)
    counts = _counts_by(cell, organization, period, metric, narrowing)
    return tuple(
        HourCount(bucket // 24, bucket % 24, count)
        for bucket, count in sorted(counts.items())
        if count
    )


def count_by_agent(
    organization: Organization,
    period: Period,
    metric: Metric = METRICS["issued"],
    *,
    include_idle: bool = False,
) -> tuple[AgentCount, ...]:
    """The metric for every agent above zero, highest first, then by id.

    With `include_idle` also agents at zero, unless they are decommissioned.
    """
    if period.step == "month" and period.is_utc:
        usage: OrganizationScopedQuerySet = AgentMonthUsage.objects.filter(month=period.first)
        parts: list[Part] = [(usage, metric.aggregate, Max("last_at"))]
    else:
        parts = _whole_days_and_edges(period, metric)
    counts: Counter[UUID] = Counter()
    newest: dict[UUID, datetime] = {}
    for rows, aggregate, last_at in parts:
        by_agent = rows.for_organization(organization).values("agent_id").order_by()
        for row in by_agent.annotate(count=aggregate, newest=last_at):
            agent_id = row["agent_id"]
            counts[agent_id] += row["count"]
            newest[agent_id] = max(row["newest"], newest.get(agent_id, row["newest"]))
    idle = Agent.objects.for_organization(organization).counted() if include_idle else []
    counts.update({agent.pk: 0 for agent in idle})
    found = [
        AgentCount(agent_id, count, newest.get(agent_id))
        for agent_id, count in counts.items()
        if (count or include_idle) and agent_id not in (None, NOBODY)
    ]
    return tuple(sorted(found, key=lambda agent: (-agent.count, agent.agent_id)))


def _whole_days_and_edges(period: Period, metric: Metric) -> list[Part]:
    """The UTC days inside the period from the rollup, what sticks out from the events."""
    first = (period.start + DAY - RESOLUTION).date()
    last = (period.end).date() - DAY
    usage = AgentDayUsage.objects.filter(day__range=(first, last))
    parts: list[Part] = [(usage, metric.aggregate, Max("last_at"))]
    if not period.is_utc:
        head = Q(created_at__gte=period.start, created_at__lt=midnight(first))
        tail = Q(created_at__gte=midnight(last + DAY), created_at__lt=period.end)
        counted = Count("id", filter=Q(outcome__in=metric.outcomes))
        parts.append((TokenEvent.objects.filter(head | tail), counted, Max("created_at")))
    return parts


def midnight(day: date) -> datetime:
    """The start of a UTC day."""
    return datetime.combine(day, time(), tzinfo=UTC)


def _counts_by(
    bucket: Combinable,
    organization: Organization,
    period: Period,
    metric: Metric,
    narrowing: Narrowing,
) -> dict[int, int]:
    """The metric in buckets computed from `local_hour`: hours since 1970 on the zone's clocks."""
    rows, aggregate = _local_hours(period, metric, narrowing)
    buckets = rows.for_organization(organization).annotate(bucket=bucket).values("bucket")
    return dict(buckets.order_by().annotate(count=aggregate).values_list("bucket", "count"))


def _local_hours(
    period: Period, metric: Metric, narrowing: Narrowing
) -> tuple[OrganizationScopedQuerySet, Combinable]:
    """The narrowest rows that can tell the period's local hours apart, and how to count them."""
    for usage in (HourUsage, QuarterUsage):
        if not narrowing and period.fits(usage.SECONDS):
            edges = [int(at.timestamp()) // usage.SECONDS for at in (period.start, period.end)]
            rows = usage.objects.filter(
                **{f"{usage.CLOCK}__gte": edges[0], f"{usage.CLOCK}__lt": edges[1]}
            )
            local = F(usage.CLOCK) + _offset(period, usage.CLOCK, usage.SECONDS)
            per_hour = 3600 // usage.SECONDS
            local_hour = local if per_hour == 1 else local / Value(per_hour)
            return rows.annotate(local_hour=local_hour), metric.aggregate
    events = TokenEvent.objects.filter(
        created_at__gte=period.start,
        created_at__lt=period.end,
        outcome__in=metric.outcomes,
        **narrowing.filters,
    )
    seconds = Extract("created_at", "epoch", tzinfo=UTC) + _offset(period, "created_at", 1)
    return events.annotate(local_hour=Cast(Floor(seconds / Value(3600)), IntegerField())), Count(
        "id"
    )


def _offset(period: Period, clock: str, unit: int) -> Combinable:
    """How far the zone's clocks are ahead of UTC at each row, in units of `unit` seconds."""
    spans = period.spans
    offsets = [Value(int(span.offset.total_seconds()) // unit) for span in spans]
    if len(spans) == 1:
        return offsets[0]
    ends = [
        span.end if clock == "created_at" else int(span.end.timestamp()) // unit for span in spans
    ]
    cases = [
        When(**{f"{clock}__lt": end}, then=offset)
        for end, offset in zip(ends[:-1], offsets[:-1], strict=True)
    ]
    return Case(*cases, default=offsets[-1], output_field=IntegerField())
