"""Executions grouped by when they started."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from django.db import connection
from django.db.models import Count, F, Func, IntegerField, Max, Min, Sum, Value
from django.db.models.functions import Coalesce

from core.days import DAY, floor, following
from executions.filters import EVERYTHING, Filters
from executions.models import Execution, now
from executions.queries.in_time import COLUMNS, SPANS, Spans, rows_of
from executions.queries.listing import visible_executions
from organizations.actors import Actor
from organizations.models import Organization

MAX_SPAN_IN_HOURS = 14 * DAY
MAX_SPAN_IN_DAYS = 400 * DAY


@dataclass(frozen=True)
class Bucket:
    """The executions that started at or after `start` and before `end`."""

    start: datetime
    end: datetime
    by_status: dict[str, int] = field(default_factory=dict)
    """Statuses without executions are omitted."""
    cost: Decimal = Decimal(0)
    """In US dollars, as far as reported."""

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        return self.by_status.get(Execution.FAILED, 0)


@dataclass(frozen=True)
class Buckets:
    """Contiguous buckets, oldest first, each an hour, a day or a month long in the zone."""

    step: str
    rows: tuple[Bucket, ...]


def count_over_time(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    zone: tzinfo = UTC,
    step: str = "",
) -> Buckets:
    """Count the executions of the window, and add up their cost, by when they started.

    Buckets are as long as `step` says: `hour`, `day` or `month`. By default they are hours up to 14
    days, months beyond 400 days, otherwise days. Without a window they span from the first
    execution until now.
    """
    filters = filters.by_start()
    rows = visible_executions(organization, actor, filters).order_by()
    times = {"first": Min("start_time"), "last": Max("start_time")}
    known = rows.aggregate(**times) if None in filters.window else dict.fromkeys(times)
    step, starts, end = cut(filters, zone, **known, step=step)
    by_status: dict[int, Counter[str]] = defaultdict(Counter)
    costs: dict[int, Decimal] = defaultdict(Decimal)
    spans = _spans(actor, filters, starts)
    if spans:
        counts = _counted(organization, spans, filters, starts)
    else:
        places = rows.annotate(place=place_in("start_time", starts))
        counts = places.values_list("place", "status").annotate(
            number=Count("pk"), spent=Coalesce(Sum("cost"), Decimal(0))
        )
    for place, status, number, spent in counts:
        by_status[max(place - 1, 0)][status] += number
        costs[max(place - 1, 0)] += spent
    ends = (*starts[1:], end)
    return Buckets(
        step,
        tuple(
            Bucket(start, ends[n], dict(by_status[n]), costs[n]) for n, start in enumerate(starts)
        ),
    )


def _spans(actor: Actor, filters: Filters, starts: Sequence[datetime]) -> Spans | None:
    """The longest spans of the rollup of which each is in one bucket."""
    edges = [start.timestamp() for start in starts]
    for seconds in SPANS:
        if all(edge % seconds == 0 for edge in edges):
            return Spans.of(actor, filters, seconds)
    return None


def _counted(
    organization: Organization, spans: Spans, filters: Filters, starts: Sequence[datetime]
) -> Iterable[tuple[int, str, int, Decimal]]:
    """Executions and their cost by the number of their bucket and by status; a pair may be
    repeated.
    """
    counted, of_counted = spans.counted(organization, ["status"])
    others, of_others = rows_of(organization, "start_time, status, cost", spans.others(filters))
    place = "width_bucket({}, %s::double precision[])"
    statement = f"""
        SELECT {place.format("place::double precision * %s")}, value, sum(executions)::bigint,
            sum(cost)
        FROM ({counted}) AS counted ({", ".join(COLUMNS)}) GROUP BY 1, 2
        UNION ALL
        SELECT {place.format("start_time")}, status, count(*), coalesce(sum(cost), 0)
        FROM ({others}) AS others (start_time, status, cost) GROUP BY 1, 2
    """  # noqa: S608 - no user input
    edges = [start.timestamp() for start in starts]
    with connection.cursor() as cursor:
        cursor.execute(statement, (spans.seconds, edges, *of_counted, edges, *of_others))
        return cursor.fetchall()


def place_in(clock: str, starts: Collection[datetime]) -> Func:
    """The number of a row's bucket, from 1; 0 before the first bucket."""
    return Func(
        F(clock),
        Value([start.timestamp() for start in starts]),
        function="width_bucket",
        template="%(function)s(%(expressions)s::double precision[])",
        output_field=IntegerField(),
    )


def cut(
    filters: Filters,
    zone: tzinfo,
    first: float | None,
    last: float | None,
    step: str = "",
) -> tuple[str, tuple[datetime, ...], datetime]:
    """The step, the starts of the buckets, and the end of the last one. `first` and `last` are the
    times of the rows, for a window without a start or an end; without a step it is chosen by the
    length.
    """
    current = now()
    start = filters.start if filters.start is not None else (current if first is None else first)
    end = filters.end if filters.end is not None else max(current, last or 0)
    # Clocks may be wrong by any amount: times outside are counted in the outermost bucket.
    start = min(max(start, 0.0), current)
    end = min(max(end, start + 1), current + 366 * DAY.total_seconds())
    begin, until = (datetime.fromtimestamp(each, UTC).astimezone(zone) for each in (start, end))
    step = step or _step(until - begin)
    starts, edge = [], floor(begin, step)
    while edge.timestamp() < end:
        starts.append(edge.astimezone(UTC))
        edge = following(edge, step)
    return step, tuple(starts), edge.astimezone(UTC)


def _step(length: timedelta) -> str:
    if length <= MAX_SPAN_IN_HOURS:
        return "hour"
    return "day" if length <= MAX_SPAN_IN_DAYS else "month"
