"""Percentiles of runtimes: from bins of them where a rollup counts these, else from all rows."""

from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from typing import Any

from django.db import connection
from django.db.models import F, IntegerField, QuerySet, Value

from executions.filters import Filters
from executions.models import Execution
from executions.queries.in_time import LIVE, Spans
from executions.queries.listing import union, visible_parts
from executions.queries.tally import ELAPSED, HAS_RUNTIME, Tally
from organizations.actors import Actor
from organizations.models import Organization

PERCENTILES = (0.5, 0.95, 0.99)
RUNTIME = ELAPSED - F("waiting_seconds")
PERCENTILE = "SELECT percentile_cont(%s::double precision[]) WITHIN GROUP (ORDER BY runtime)"


def percentiles(
    organization: Organization, actor: Actor, filters: Filters, counted: Tally
) -> list[float] | None:
    """The runtimes at PERCENTILES, interpolated as PostgreSQL does; None without runtimes."""
    if counted.timed == 0:
        return None
    if spans := Spans.of(actor, filters):
        rows = Execution.objects.for_organization(organization).order_by()
        live = filters.narrow_to_window(rows, "start_time") if spans.clock == "start" else rows
        runtimes = live.filter(LIVE, HAS_RUNTIME).values_list(RUNTIME, flat=True)
        found = _from_bins(spans.ended(rows, filters), counted, sorted(runtimes))
        if found:
            return found
    parts = visible_parts(organization, actor, filters)
    return _from_rows(union(part.filter(HAS_RUNTIME).values_list(RUNTIME) for part in parts))


def _from_rows(runtimes: QuerySet[Any]) -> list[float] | None:
    sql, parameters = runtimes.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"{PERCENTILE} FROM ({sql}) AS runtimes (runtime)",
            [list(PERCENTILES), *parameters],
        )
        found: list[float] | None = cursor.fetchone()[0]
        return found


def _from_bins(ended: QuerySet[Execution], counted: Tally, live: list[float]) -> list[float] | None:
    """The percentiles of both; None if executions ended between the queries.

    Of those that have ended, only the bins are read in which a percentile is: each live one moves
    its place by one at most.
    """
    number = counted.by_bin.total()
    if number + len(live) != counted.timed:
        return None
    places = [divmod(share * (counted.timed - 1), 1) for share in PERCENTILES]
    spans = [(max(0, int(low) - len(live)), min(int(low) + 2, number)) for low, _ in places]
    fetched: list[list[float]] = [[] for _ in spans]
    for place, runtime in _slices(ended, counted.by_bin, spans):
        fetched[place].append(runtime)
    found = []
    for (low, rest), (start, stop), runtimes in zip(places, spans, fetched, strict=True):
        if len(runtimes) != max(stop - start, 0):
            return None
        near = sorted([*runtimes, *live])[int(low) - start :]
        found.append(near[0] + rest * (near[1] - near[0]) if len(near) > 1 else near[0])
    return found


def _slices(
    ended: QuerySet[Execution], by_bin: Counter[int], spans: list[tuple[int, int]]
) -> QuerySet[Any]:
    """The runtimes at these places in their order, each with the number of its span."""
    bins = sorted(by_bin)
    ends = list(accumulate(by_bin[each] for each in bins))
    parts = []
    for number, (start, stop) in enumerate(spans):
        first, last = bisect_right(ends, start), bisect_right(ends, max(start, stop - 1))
        before = ends[first - 1] if first else 0
        rows = ended.filter(runtime_bin__in=bins[first : last + 1]).order_by("runtime_seconds")
        part = rows.values_list(Value(number, IntegerField()), "runtime_seconds")
        parts.append(part[start - before : max(start, stop) - before])
    return parts[0].union(*parts[1:], all=True)
