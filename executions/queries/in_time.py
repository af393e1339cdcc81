"""Ended executions of a window, counted by a rollup for the whole days (UTC) in its middle.

Before and after them the window has edges, of which the rows are read. Of when executions started
the rollup also knows hours and quarters of an hour, for the bars of a timeline in any zone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Self

from executions.filters import Filters
from executions.models import Execution, sees_all
from organizations.actors import Actor
from organizations.models import Organization

DAY = 86_400
SPANS = (DAY, 3600, 900)
"""The lengths of which the rollup has statuses, by when executions started."""
RECORDED = "status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin"
COLUMNS = ("property", "place", "value", "executions", "timed", "elapsed", "failed", "cost")
ENDED = "status IN ({})".format(", ".join(f"'{status}'" for status in Execution.FINAL))
LIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in Execution.LIVE))
Statement = tuple[str, tuple[Any, ...]]
"""SQL, and its parameters. Written out, because Django takes longer to write it than PostgreSQL to
run it."""


@dataclass(frozen=True)
class Spans:
    """The whole spans of a window: those from place `first` until before place `stop`; without
    one of them, all on that side. Those of errors (error_counts.py) are by their own times and have
    no clock; for them only `of`, `seconds` and these two places count.
    """

    clock: str
    seconds: int
    first: int | None = None
    stop: int | None = None

    @classmethod
    def of(cls, actor: Actor, filters: Filters, seconds: int = 0) -> Self | None:
        """Those of the window, so many seconds long (by default days, or all time); None if there
        are none, or if the rollup does not know the number: it has one property at a time, and not
        whose an execution is.
        """
        if filters.conditions or not sees_all(actor):
            return None
        start, end = filters.window
        if start is None and end is None and not seconds:
            return cls("", 0)
        seconds = seconds or DAY
        first = None if start is None else math.ceil(start / seconds)
        stop = None if end is None else math.floor(end / seconds)
        if first is not None and stop is not None and first >= stop:
            return None
        return cls("last" if filters.is_recent else "start", seconds, first, stop)

    def counted(
        self,
        organization: Organization,
        properties: Collection[str],
        value: str | None = None,
        *,
        among: Collection[str] | None = None,
    ) -> Statement:
        """A statement with the COLUMNS of each row of the rollup, and of each change that is not
        added up in it yet; with a `value`, only of that, or only `among` these.
        """
        places, of_places = limits("place", self.first, self.stop)
        condition = f"clock = %s AND seconds = %s AND property = ANY (%s) AND {places}"
        parameters = (self.clock, self.seconds, list(properties), *of_places)
        if value is not None:
            condition, parameters = f"{condition} AND value = %s", (*parameters, value)
        if among is not None:
            condition, parameters = f"{condition} AND value = ANY (%s)", (*parameters, list(among))
        statement = f"""
            SELECT {", ".join(COLUMNS)} FROM executions_endedintime
            WHERE organization_id = %s AND {condition}
            UNION ALL
            SELECT property, place, value, executions, timed, elapsed,
                CASE status WHEN '{Execution.FAILED}' THEN executions ELSE 0 END, cost
            FROM executions_endedchange CROSS JOIN LATERAL executions_spans({RECORDED}) AS span
            WHERE organization_id = %s AND {condition}
        """  # noqa: S608 - no user input
        own = (organization.pk, *parameters)
        return statement, (*own, *own)

    def others(self, filters: Filters) -> list[Statement]:
        """Conditions of the executions of the window that are not counted in the spans: of ended
        ones at its edges, and of live ones. No two hold for the same, and each has an index.
        """
        start, end = filters.window
        until = None if self.first is None else self.first * self.seconds
        since = None if self.stop is None else self.stop * self.seconds
        if self.clock == "last":
            started = "start_time >= %s AND start_time < %s"
            return [
                (
                    f"{ENDED} AND end_time >= %s AND end_time < %s AND start_time < %s",
                    (start, until, until),
                ),
                (
                    f"{ENDED} AND {started} AND (end_time IS NULL OR end_time < %s)",
                    (start, until, start),
                ),
                (LIVE, ()),
            ]
        live, of_live = self.window(filters)
        return [
            *(
                (f"{ENDED} AND start_time >= %s AND start_time < %s", (first, last))
                for first, last in ((start, until), (since, end))
                if first is not None and last is not None
            ),
            (f"{LIVE} AND {live}", of_live),
        ]

    def window(self, filters: Filters) -> Statement:
        """The condition that the window sets to live executions."""
        return limits("start_time", *((None, None) if self.clock == "last" else filters.window))

    def bins(self, filters: Filters) -> Statement:
        """The condition of the ended executions of the window that are in some bins, of which the
        list is the first parameter. What has a bin ended later than it started.
        """
        sql, parameters = self.window(filters)
        if self.clock == "last":
            sql, parameters = "end_time >= %s", (filters.start,)
        return f"runtime_bin IS NOT NULL AND runtime_bin = ANY (%s) AND {sql}", parameters


def limits(column: str, first: float | None, stop: float | None) -> Statement:
    """The condition that the column is at least `first` and below `stop`, if there are these."""
    found = [
        (f"{column} {sign} %s", limit)
        for sign, limit in ((">=", first), ("<", stop))
        if limit is not None
    ]
    sql = " AND ".join(each for each, _ in found) or "true"
    return sql, tuple(limit for _, limit in found)


def rows_of(organization: Organization, columns: str, conditions: Iterable[Statement]) -> Statement:
    """A statement of the columns of the executions for which one of the conditions holds."""
    parts, parameters = [], []
    for condition, of_condition in conditions:
        parts.append(
            f"SELECT {columns} FROM executions_execution "  # noqa: S608 - no user input
            f"WHERE organization_id = %s AND {condition}"
        )
        parameters += [organization.pk, *of_condition]
    return " UNION ALL ".join(parts), tuple(parameters)
