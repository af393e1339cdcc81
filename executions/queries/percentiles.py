"""Percentiles of runtimes: from bins of them where a rollup counts these, else from all rows."""

from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from executions.filters import Filters
from executions.queries.in_time import LIVE, Spans, Statement, rows_of
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
        found = _from_bins(organization, spans, filters, counted)
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


def _from_bins(
    organization: Organization, spans: Spans, filters: Filters, counted: Tally
) -> list[float] | None:
    """The percentiles of ended and live ones; None if executions ended between the queries.

    Of those that have ended, only the bins are read in which a percentile is: each live one moves
    its place by one at most.
    """
    live = _live(organization, spans, filters)
    number = counted.by_bin.total()
    if number + len(live) != counted.timed:
        return None
    places = [divmod(share * (counted.timed - 1), 1) for share in PERCENTILES]
    slices = [(max(0, int(low) - len(live)), min(int(low) + 2, number)) for low, _ in places]
    fetched: list[list[float]] = [[] for _ in slices]
    for place, runtime in _slices(organization, spans.bins(filters), counted.by_bin, slices):
        fetched[place].append(runtime)
    found = []
    for (low, rest), (start, stop), runtimes in zip(places, slices, fetched, strict=True):
        if len(runtimes) != max(stop - start, 0):
            return None
        near = sorted([*runtimes, *live])[int(low) - start :]
        found.append(near[0] + rest * (near[1] - near[0]) if len(near) > 1 else near[0])
    return found


def _live(organization: Organization, spans: Spans, filters: Filters) -> list[float]:
    """The runtimes of live executions so far."""
    window, parameters = spans.window(filters)
    runtime = "end_time - start_time - waiting_seconds"
    condition = (f"{LIVE} AND end_time > start_time AND {window}", parameters)
    with connection.cursor() as cursor:
        cursor.execute(*rows_of(organization, runtime, [condition]))
        return [runtime for (runtime,) in cursor.fetchall()]


def _slices(
    organization: Organization,
    in_bins: Statement,
    by_bin: Counter[int],
    slices: list[tuple[int, int]],
) -> list[tuple[int, float]]:
    """The runtimes at these places in their order, each with the number of its slice."""
    bins = sorted(by_bin)
    ends = list(accumulate(by_bin[each] for each in bins))
    condition, of_condition = in_bins
    parts, parameters = [], []
    for number, (start, stop) in enumerate(slices):
        first, last = bisect_right(ends, start), bisect_right(ends, max(start, stop - 1))
        before = ends[first - 1] if first else 0
        part, of_part = rows_of(
            organization,
            f"{number}, runtime_seconds",
            [(condition, (bins[first : last + 1], *of_condition))],
        )
        parts.append(f"({part} ORDER BY runtime_seconds OFFSET %s LIMIT %s)")
        parameters += [*of_part, start - before, max(stop - start, 0)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), parameters)
        return cursor.fetchall()
