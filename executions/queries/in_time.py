"""Ended executions of a window, counted by a rollup for the whole days (UTC) in its middle.

Before and after them the window has edges, of which the rows are read. Of when executions started
the rollup also knows hours and quarters of an hour, for the bars of a timeline in any zone.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Q

from executions.filters import Filters
from executions.models import EndedChange, EndedInTime, Execution, sees_all
from organizations.actors import Actor
from organizations.models import Organization

DAY = 86_400
SPANS = (DAY, 3600, 900)
"""The lengths of which the rollup has statuses, by when executions started."""
KEYS = ("status", "user_id", "agent_id", "agent_name", "start_quarter", "last_day", "runtime_bin")
COLUMNS = ("property", "place", "value", "executions", "timed", "elapsed", "failed", "cost")
ENDED = Q(status__in=Execution.FINAL)
LIVE = Q(status__in=Execution.LIVE)
Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Spans:
    """The whole spans of a window: those from place `first` until before place `stop`; without
    one of them, all on that side.
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
        self, organization: Organization, properties: Collection[str], value: str | None = None
    ) -> Statement:
        """A statement with the COLUMNS of each row of the rollup, and of each change that is not
        added up in it yet; with a `value`, only of that.
        """
        places = {"gte": self.first, "lt": self.stop}
        limits = {f"place__{name}": place for name, place in places.items() if place is not None}
        settled = (
            EndedInTime.objects.for_organization(organization)
            .filter(clock=self.clock, seconds=self.seconds, property__in=properties, **limits)
            .values_list(*COLUMNS)
        )
        if value is not None:
            settled = settled.filter(value=value)
        changes = EndedChange.objects.for_organization(organization).values_list(
            *KEYS, "executions", "timed", "elapsed", "cost"
        )
        known, known_parameters = settled.query.sql_with_params()
        new, new_parameters = changes.query.sql_with_params()
        statement = f"""
            {known} UNION ALL
            SELECT span.property, span.place, span.value, executions, timed, elapsed,
                CASE status WHEN '{Execution.FAILED}' THEN executions ELSE 0 END, cost
            FROM ({new}) AS change CROSS JOIN LATERAL executions_spans({", ".join(KEYS)}) AS span
            WHERE span.clock = %s AND span.seconds = %s AND span.property = ANY (%s)
            AND span.place >= coalesce(%s, span.place) AND span.place < coalesce(%s, span.place + 1)
            AND span.value = coalesce(%s, span.value)
        """  # noqa: S608 - Django's own statements
        own = (self.clock, self.seconds, list(properties), self.first, self.stop, value)
        return statement, (*known_parameters, *new_parameters, *own)

    def others(self, rows: Any, filters: Filters) -> list[Any]:
        """The executions of the window that are not counted in the spans: ended ones at its edges,
        and live ones. Parts of which each has an index.
        """
        start, end = filters.window
        ended = rows.filter(ENDED)
        until = None if self.first is None else float(self.first * self.seconds)
        since = None if self.stop is None else float(self.stop * self.seconds)
        if self.clock == "last":
            return [
                ended.filter(end_time__gte=start, end_time__lt=until, start_time__lt=until),
                ended.filter(
                    Q(end_time=None) | Q(end_time__lt=start),
                    start_time__gte=start,
                    start_time__lt=until,
                ),
                rows.filter(LIVE),
            ]
        edges = ((start, until), (since, end))
        return [
            *(
                ended.filter(start_time__gte=first, start_time__lt=last)
                for first, last in edges
                if first is not None and last is not None
            ),
            filters.narrow_to_window(rows, "start_time").filter(LIVE),
        ]

    def ended(self, rows: Any, filters: Filters) -> Any:
        """The ended executions of the window with a runtime, to look some of them up by its bin."""
        timed = rows.filter(runtime_bin__isnull=False)
        # With a runtime, the end is later than the start.
        clock = "end_time" if self.clock == "last" else "start_time"
        return filters.narrow_to_window(timed, clock)
