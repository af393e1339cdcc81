"""The same executions in the period of equal length before, with the same weekdays."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from analytics.requests.window import Window
from core.days import DAY
from core.formatting import day_of, days_of
from executions import queries
from executions.filters import Filters
from executions.queries import Buckets
from pages.executions.page_query import PageQuery, to_datetime
from pages.lists import NOT_COMPARED

MONTH = "month"


@dataclass(frozen=True)
class Earlier:
    """The period before a page's window, which has one if it has a beginning."""

    query: PageQuery
    window: Window

    @classmethod
    def of(cls, query: PageQuery) -> Self | None:
        start, end = query.filters.window
        if start is None:
            return None
        now = query.now
        until = now if end is None else to_datetime(end)
        if start >= until.timestamp():
            return None
        return cls(query, Window(to_datetime(start), until, query.request.zone, now))

    @property
    def filters(self) -> Filters:
        start, end = (each.timestamp() for each in (self._previous.start, self._previous.end))
        return replace(self.query.filters, start=start, end=end, is_recent=False)

    @property
    def _previous(self) -> Window:
        return self.window.whole_previous

    @cached_property
    def statistics(self) -> queries.Statistics:
        return queries.statistics(*self.query.scope, self.filters)

    @property
    def is_shown(self) -> bool:
        return self.query.request.GET.get("compare") != NOT_COMPARED

    @property
    def label(self) -> str:
        """Its dates, or times if it is shorter than a day."""
        zone, now = self.query.request.zone, self.query.now
        start, end = (at.astimezone(zone) for at in (self._previous.start, self._previous.end))
        if end - start < DAY:
            return f"{day_of(start, now)}, {start:%H:%M} to {end:%H:%M}"
        return days_of(start, end, now)

    @property
    def comparisons(self) -> list[dict[str, Any]]:
        """For components/comparisons.html."""
        return [
            {
                "label": label,
                "url": self.query.url(compare=value),
                "current": self.is_shown is is_on,
            }
            for label, value, is_on in ((self.label, None, True), ("Nothing", NOT_COMPARED, False))
        ]

    def totals(self, buckets: Buckets) -> Mapping[datetime, int]:
        """What ran in the same hour or day before, by the start of each bucket; empty if nothing
        did, and for months, which have no weekdays in common.
        """
        if buckets.step == MONTH:
            return {}
        before = queries.count_over_time(
            *self.query.scope, self.filters, zone=self.query.request.zone, step=buckets.step
        )
        # Where the clocks change, one of the two windows has an hour more: each run counts once.
        edges = sorted(self.window.earlier(each.start) for each in buckets.rows)
        found = dict.fromkeys((each.start for each in buckets.rows), 0)
        for each in before.rows:
            place = bisect_right(edges, each.start) - 1
            found[buckets.rows[max(place, 0)].start] += each.total
        return found if any(found.values()) else {}
