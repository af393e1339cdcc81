"""Percentiles of runtimes: of all time from the index of runtimes, otherwise from the rows."""

from typing import Any

from django.db import connection
from django.db.models import F, IntegerField, QuerySet, Value

from executions.filters import EVERYTHING, Filters
from executions.models import Execution, sees_all
from executions.queries.listing import union, visible_parts
from executions.queries.tally import ELAPSED, HAS_RUNTIME
from organizations.actors import Actor
from organizations.models import Organization

PERCENTILES = (0.5, 0.95, 0.99)
RUNTIME = ELAPSED - F("waiting_seconds")
PERCENTILE = "SELECT percentile_cont(%s::double precision[]) WITHIN GROUP (ORDER BY runtime)"


def percentiles(
    organization: Organization, actor: Actor, filters: Filters, timed: int
) -> list[float] | None:
    """The runtimes at PERCENTILES, interpolated as PostgreSQL does; None without runtimes.

    `timed` is the number of executions that have one.
    """
    parts = visible_parts(organization, actor, filters)
    if filters == EVERYTHING and sees_all(actor):
        (rows,) = parts
        live = rows.filter(HAS_RUNTIME, status__in=Execution.LIVE).values_list(RUNTIME, flat=True)
        ended = rows.filter(runtime_seconds__isnull=False)
        if found := _from_index(ended, sorted(live), timed):
            return found
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


def _from_index(ended: QuerySet[Execution], live: list[float], timed: int) -> list[float] | None:
    """The percentiles of both; None without runtimes, or if executions ended between the queries.

    Of those that have ended, only the runtimes near each percentile are fetched, counted from the
    nearer end of the index: each live one moves a percentile's place by one at most.
    """
    number = timed - len(live)
    if timed == 0 or number < 0:
        return None
    places = [divmod(share * (timed - 1), 1) for share in PERCENTILES]
    spans = [(max(0, int(low) - len(live)), min(int(low) + 2, number)) for low, _ in places]
    fetched: list[list[float]] = [[] for _ in spans]
    for place, runtime in _slices(ended, number, spans):
        fetched[place].append(runtime)
    found = []
    for (low, rest), (start, stop), runtimes in zip(places, spans, fetched, strict=True):
        if len(runtimes) != max(stop - start, 0):
            return None
        near = sorted([*runtimes, *live])[int(low) - start :]
        found.append(near[0] + rest * (near[1] - near[0]) if len(near) > 1 else near[0])
    return found


def _slices(ended: QuerySet[Execution], number: int, spans: list[tuple[int, int]]) -> QuerySet[Any]:
    """The runtimes at these places in their order, each with the number of its span."""
    parts = []
    for place, (start, stop) in enumerate(spans):
        rows = ended.values_list(Value(place, IntegerField()), "runtime_seconds")
        if start < number / 2:
            part = rows.order_by("runtime_seconds")[start : max(start, stop)]
        else:
            part = rows.order_by("-runtime_seconds")[number - stop : number - min(start, stop)]
        parts.append(part)
    return parts[0].union(*parts[1:], all=True)
