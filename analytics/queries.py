"""The numbers of analytics as frozen dataclasses with gaps filled, for `(organization, period, …)`.

Every function runs inside the organization's scope. Rollups answer wherever possible; raw token
events only for an agent's hours in a zone, or for the edges of a month in a zone.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Case, F, IntegerField, Max, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Extract, Floor, Greatest

from agents.models import Agent, AgentQuerySet
from analytics.metrics import METRICS, Metric
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage, HourUsage, QuarterUsage
from analytics.periods import Period
from core.days import DAY, FIRST_DAY, day_start
from organizations.models import Organization, OrganizationScopedQuerySet
from tokens.models import Credential, TokenEvent

HOURS_OF_WEEK = 168
FIRST_HOUR_OF_WEEK = 96
"""1970-01-01 was a Thursday, and weeks start on Sunday here."""
Part = tuple[int, OrganizationScopedQuerySet, Combinable]
"""A sign (1 adds, -1 subtracts), rows, and the expression that counts them."""


@dataclass(frozen=True)
class DayCount:
    date: date
    count: int


@dataclass(frozen=True)
class HourCount:
    """A cell of the heatmap; `dow` 0 is Sunday."""

    dow: int
    hour: int
    count: int


@dataclass(frozen=True)
class AgentCount:
    """An agent's tokens in a period."""

    agent_id: UUID
    count: int


@dataclass(frozen=True)
class AtWork:
    """The number of agents that got a token in a month."""

    working: int
    """The number of these among the registered agents."""
    registered: int
    """All agents but the decommissioned ones."""
    served: int
    """Includes agents that have been decommissioned since."""


@dataclass(frozen=True)
class Narrowing:
    """The part of the organization's traffic to count."""

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
    """The metric for every day of the period, oldest first, with zeros."""
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
    """The metric by weekday and hour in the period's zone, from Sunday 0:00; zeros are omitted."""
    cell = (F("local_hour") + Value(FIRST_HOUR_OF_WEEK)) % Value(HOURS_OF_WEEK)
    counts = _counts_by(cell, organization, period, metric, narrowing)
    return tuple(
        HourCount(bucket // 24, bucket % 24, count)
        for bucket, count in sorted(counts.items())
        if count
    )


def count_by_agent(
    organization: Organization,
    month: Period,
    metric: Metric = METRICS["issued"],
    *,
    include_idle: bool = False,
    among: Collection[UUID] | None = None,
) -> tuple[AgentCount, ...]:
    """The metric for every agent above zero, highest first, then by id.

    `include_idle` adds agents at zero unless they are decommissioned; `among` limits the agents.
    """
    only = {} if among is None else {"agent_id__in": among}
    counts: Counter[UUID] = Counter()
    for sign, rows, aggregate in _parts_of_month(month, metric):
        by_agent = rows.for_organization(organization).filter(**only).values("agent_id").order_by()
        for agent_id, count in by_agent.annotate(count=aggregate).values_list("agent_id", "count"):
            counts[agent_id] += sign * count
    idle = Agent.objects.for_organization(organization).counted() if include_idle else []
    counts.update({agent.pk: 0 for agent in idle})
    found = [
        AgentCount(agent_id, count)
        for agent_id, count in counts.items()
        if (count or include_idle) and agent_id not in (None, NOBODY)
    ]
    return tuple(sorted(found, key=lambda agent: (-agent.count, agent.agent_id)))


def at_work(organization: Organization, usage: Collection[AgentCount]) -> AtWork:
    """The number of agents with tokens in the month, from its `usage` (`count_by_agent`)."""
    registered = Agent.objects.for_organization(organization).counted()
    served = {agent.agent_id for agent in usage if agent.count}
    # Their ids come back faster than those of the served ones, which may be all, go there.
    ids = set(registered.order_by().values_list("pk", flat=True))
    return AtWork(working=len(served & ids), registered=len(ids), served=len(served))


def with_last_use(agents: AgentQuerySet) -> AgentQuerySet:
    """Annotate agents with `last_used_at`, when a secret of theirs last got a token, to the
    minute.
    """
    credentials = Credential.objects.filter(
        organization=OuterRef("organization"), agent=OuterRef("pk")
    )
    latest = Max(Greatest("last_used_at", "previous_last_used_at"))
    return agents.annotate(
        last_used_at=Subquery(
            credentials.order_by().values("agent").annotate(latest=latest).values("latest")
        )
    )


def last_used_by_agent(
    organization: Organization, among: Collection[UUID]
) -> dict[UUID, datetime | None]:
    agents = with_last_use(Agent.objects.for_organization(organization).filter(pk__in=among))
    return dict(agents.order_by().values_list("pk", "last_used_at"))


def _parts_of_month(month: Period, metric: Metric) -> list[Part]:
    """The UTC month, corrected by the hours at its edges that differ in the zone.

    These are the fewest rows that know their agents: summing up days takes thirty times as many.
    """
    start, end = day_start(month.first, UTC), day_start(month.last + DAY, UTC)
    usage: OrganizationScopedQuerySet = AgentMonthUsage.objects.filter(month=month.first)
    parts: list[Part] = [(1, usage, metric.aggregate)]
    counted = Coalesce(Sum("times", filter=Q(outcome__in=metric.outcomes)), 0)
    for sign, first, after in (
        (1, month.start, start),
        (-1, start, month.start),
        (1, end, month.end),
        (-1, month.end, end),
    ):
        if first < after:
            events = TokenEvent.objects.filter(created_at__gte=first, created_at__lt=after)
            parts.append((sign, events, counted))
    return parts


def _counts_by(
    bucket: Combinable,
    organization: Organization,
    period: Period,
    metric: Metric,
    narrowing: Narrowing,
) -> dict[int, int]:
    """The metric grouped by a bucket computed from `local_hour`, hours since 1970 in local time."""
    rows, aggregate = _local_hours(period, metric, narrowing)
    buckets = rows.for_organization(organization).annotate(bucket=bucket).values("bucket")
    return dict(buckets.order_by().annotate(count=aggregate).values_list("bucket", "count"))


def _local_hours(
    period: Period, metric: Metric, narrowing: Narrowing
) -> tuple[OrganizationScopedQuerySet, Combinable]:
    """The narrowest rows that distinguish the period's local hours, and the expression to count
    them.
    """
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
    hour = Cast(Floor(seconds / Value(3600)), IntegerField())
    return events.annotate(local_hour=hour), Sum("times")


def _offset(period: Period, clock: str, unit: int) -> Combinable:
    """The zone's offset from UTC at each row, in units of `unit` seconds."""
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
