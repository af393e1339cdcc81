"""What the token requests of a window have in common: by time, and ranked by agent, secret, address
and outcome.

Rollups count where they distinguish what the filters ask for; otherwise at most MAX_ROWS events of
a window are read, the newest ones, and the breakdown says since when it counts.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import F, Func, IntegerField, Max, Q, Sum, Value
from django.db.models.functions import Coalesce

from analytics.models import NOBODY, AgentDayUsage, HourUsage
from analytics.requests.filters import (
    ADDRESSES,
    AGENTS,
    LISTS,
    OUTCOMES,
    SECRETS,
    RequestFilters,
)
from analytics.requests.rankings import Group, Ranking, ranked
from analytics.requests.rows import MAX_ROWS, newest_since, rows_of
from analytics.requests.window import Window
from organizations.models import Organization, OrganizationScopedQuerySet

MAX_VALUES = 1000
"""Values of a list that are read; of more, those with the most requests."""
COLUMNS = {
    AGENTS: ("agent_id",),
    SECRETS: ("credential_id", "secret_hint"),
    ADDRESSES: ("ip_address",),
    OUTCOMES: ("outcome", "reason"),
}
SECONDS_OF_HOUR, SECONDS_OF_DAY = 3600, 86400


@dataclass(frozen=True)
class Bucket:
    """The requests at or after `start` and before `end`."""

    start: datetime
    end: datetime
    by_outcome: Mapping[str, int] = field(default_factory=dict)
    """Outcomes without requests are omitted."""

    @property
    def total(self) -> int:
        return sum(self.by_outcome.values())


@dataclass(frozen=True)
class Breakdown:
    window: Window
    filters: RequestFilters
    buckets: tuple[Bucket, ...]
    buckets_since: datetime | None
    """The buckets count only later requests; None for all of the window."""
    rankings: Mapping[str, Ranking]

    @property
    def since(self) -> datetime | None:
        """Since when every part of it counts; None for all of the window."""
        times = [self.buckets_since, *(each.since for each in self.rankings.values())]
        return max((each for each in times if each is not None), default=None)

    @property
    def is_compared(self) -> bool:
        """Whether the numbers of the previous window are known."""
        return self.rankings[OUTCOMES].is_compared

    def without_comparison(self) -> "Breakdown":
        """The same numbers without those of the previous window."""
        rankings = {
            name: replace(
                each,
                is_compared=False,
                values=tuple(replace(value, before=None) for value in each.values),
            )
            for name, each in self.rankings.items()
        }
        return replace(self, rankings=rankings)

    def count(self, outcome: str = "") -> int:
        """The requests of the window, or those with this outcome."""
        if outcome:
            return sum(bucket.by_outcome.get(outcome, 0) for bucket in self.buckets)
        return sum(bucket.total for bucket in self.buckets)

    def before(self, outcome: str = "") -> int | None:
        """The same of the previous window; None if it is not known."""
        if not self.is_compared:
            return None
        found = self.rankings[OUTCOMES].matching
        return sum(each.before or 0 for each in found if outcome in ("", each.outcome))


def break_down(
    organization: Organization, window: Window, filters: RequestFilters, *, most: int = MAX_ROWS
) -> Breakdown:
    """Break down the requests of the window. For each part, it reads at most `most` events of the
    window and as many of the previous one.
    """
    reading = _Reading(organization, window, filters, most)
    buckets, since = reading.buckets()
    rankings = {name: reading.ranking(name) for name in LISTS}
    return Breakdown(window, filters, buckets, since, rankings)


def count_before(
    organization: Organization, window: Window, filters: RequestFilters, *, most: int = MAX_ROWS
) -> tuple[int, ...] | None:
    """The requests of each bucket of the previous window, which is counted as a whole.

    None if it has more events than are read, or if the buckets are months, which are not whole
    weeks.
    """
    if window.step == "month":
        return None
    reading = _Reading(organization, window.whole_previous, filters, most)
    counts, since = reading.by_place(window.edges_before)
    if since is not None:
        return None
    return tuple(sum(counts.get(place, {}).values()) for place in range(1, len(window.edges)))


@dataclass(frozen=True)
class _Reading:
    organization: Organization
    window: Window
    filters: RequestFilters
    most: int
    limits: dict[str, tuple[datetime | None, bool]] = field(default_factory=dict)

    def limit(self, ignoring: str = "") -> tuple[datetime | None, bool]:
        """Since when events are read, and whether the previous window can be read as well."""
        key = AGENTS if ignoring == AGENTS and self.filters.agent_id else ""
        if key not in self.limits:
            since = self._since(self.window, key)
            is_whole = since is None and self._since(self.window.previous, key) is None
            self.limits[key] = since, is_whole
        return self.limits[key]

    def _since(self, window: Window, ignoring: str) -> datetime | None:
        return newest_since(
            self.organization, self.filters, window, ignoring=ignoring, most=self.most
        )

    # By time

    def buckets(self) -> tuple[tuple[Bucket, ...], datetime | None]:
        """The buckets of the window, and since when they count."""
        counts, since = self.by_place(self.window.edges)
        pairs = zip(self.window.edges, self.window.edges[1:], strict=False)
        return tuple(
            Bucket(start, end, dict(counts.get(place, {})))
            for place, (start, end) in enumerate(pairs, start=1)
        ), since

    def by_place(
        self, edges: tuple[datetime, ...]
    ) -> tuple[Mapping[int, Mapping[str, int]], datetime | None]:
        """The counts by the number of the bucket, from 1, and by outcome."""
        bounds = (*edges, self.window.start, self.window.end)
        if self.filters.are_by_hour and _are_whole(SECONDS_OF_HOUR, *bounds):
            return self._from_hours(edges), None
        if self.filters.are_by_day and _are_whole(SECONDS_OF_DAY, *bounds):
            return self._from_days(edges), None
        since, _ = self.limit()
        rows = rows_of(self.organization, self.filters, self.window, since=since)
        rows = rows.annotate(place=_place("created_at", edges, "timestamptz"))
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        grouped = rows.values_list("place", "outcome").annotate(number=Sum("times"))
        for place, outcome, number in grouped:
            counts[place][outcome] = number
        return counts, since

    def _from_hours(self, edges: tuple[datetime, ...]) -> Mapping[int, Mapping[str, int]]:
        hours = [_hour(edge) for edge in edges]
        rows = HourUsage.objects.filter(
            hour__gte=_hour(self.window.start), hour__lt=_hour(self.window.end)
        )
        return self._sums(rows.annotate(place=_place("hour", hours, "integer")))

    def _from_days(self, edges: tuple[datetime, ...]) -> Mapping[int, Mapping[str, int]]:
        days = [edge.date() for edge in edges]
        rows = AgentDayUsage.objects.filter(
            self.filters.usage_conditions(),
            day__gte=self.window.start.date(),
            day__lt=self.window.end.date(),
        )
        return self._sums(rows.annotate(place=_place("day", days, "date")))

    def _sums(self, rows: OrganizationScopedQuerySet) -> Mapping[int, Mapping[str, int]]:
        names = self.filters.outcomes
        sums = [Sum(name) for name in names]
        own = rows.for_organization(self.organization).order_by()
        grouped = own.values("place").annotate(
            **{f"{n}_sum": s for n, s in zip(names, sums, strict=True)}
        )
        return {
            row["place"]: {name: row[f"{name}_sum"] for name in names if row[f"{name}_sum"]}
            for row in grouped
        }

    # By what they have in common

    def ranking(self, name: str) -> Ranking:
        since, is_compared = self.limit(name)
        if since is not None and name == AGENTS and self._agents_have_whole_days():
            groups, since, is_compared = self._agents_by_day(), None, False
        else:
            groups = self._groups(name, since, is_compared)
        is_cut = len(groups) > MAX_VALUES
        values = ranked(name, self.organization, self.filters, groups[:MAX_VALUES])
        return Ranking(values, is_compared=is_compared, is_cut=is_cut, since=since)

    def _groups(self, name: str, since: datetime | None, is_compared: bool) -> list[Group]:
        """The columns of the list with `count` and `before`, at most one more than MAX_VALUES."""
        windows = (self.window, self.window.previous)[: 1 + is_compared]
        rows = rows_of(self.organization, self.filters, *windows, ignoring=name, since=since)
        is_now = Q(created_at__gte=self.window.start)
        before: Any = Value(None, IntegerField())
        if is_compared:
            before = Coalesce(Sum("times", filter=~is_now), 0)
        sums = {"count": Coalesce(Sum("times", filter=is_now), 0), "before": before}
        if name == SECRETS:
            sums["name"] = Max("credential_name")
        order = ("-count", *(("-before",) if is_compared else ()), *COLUMNS[name])
        grouped = rows.values(*COLUMNS[name]).annotate(**sums).order_by(*order)
        return list(grouped[: MAX_VALUES + 1])

    def _agents_have_whole_days(self) -> bool:
        edges = (self.window.start, self.window.end)
        return self.filters.are_by_day and _are_whole(SECONDS_OF_DAY, *edges)

    def _agents_by_day(self) -> list[Group]:
        """The agents as the rollup counts them, without the previous window: that may end within a
        day, and the rollup has no parts of days.
        """
        first, *others = (F(name) for name in self.filters.outcomes)
        rows = AgentDayUsage.objects.for_organization(self.organization).filter(
            self.filters.usage_conditions(ignoring=AGENTS),
            day__gte=self.window.start.date(),
            day__lt=self.window.end.date(),
        )
        grouped = rows.order_by().values("agent_id").annotate(count=Sum(sum(others, first)))
        found = grouped.filter(count__gt=0).order_by("-count", "agent_id")[: MAX_VALUES + 1]
        return [
            row
            | {"before": None, "agent_id": None if row["agent_id"] == NOBODY else row["agent_id"]}
            for row in found
        ]


def _place(column: str, edges: Any, kind: str) -> Func:
    """The number of a row's bucket, from 1."""
    return Func(
        F(column),
        Value(list(edges[:-1])),
        function="width_bucket",
        template=f"%(function)s(%(expressions)s::{kind}[])",
        output_field=IntegerField(),
    )


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS_OF_HOUR


def _are_whole(seconds: int, *moments: datetime) -> bool:
    """Whether these are beginnings of hours, or of days, in UTC."""
    return not any(moment.timestamp() % seconds for moment in moments)
