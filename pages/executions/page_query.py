"""The query of a page of executions: a window of time and filters.

The parameters are those of /api/dashboard/*, so that a query works in both places. Values that the
API refuses are ignored here: a page shows more rather than an error.
"""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from core.days import DAY, MAX_TIMESTAMP
from core.errors import InvalidValue
from core.formatting import day_of
from executions import queries
from executions.filters import MAX_VALUES, NAMES, NOBODY, REPEATABLE, Filters, parse_value
from executions.known_tags import known_tags
from executions.models import Execution
from pages.decorators import OrganizationRequest
from pages.executions.run_filters import Facet, RunFilters
from pages.lists import NOT_COMPARED, PLACE, VIEW, Choices, Filter, view_of

ALL_TIME = 999_999
"""The number of hours that means all time in kodosumi's dashboard."""
DEFAULT_HOURS = 24
RANGES = {
    1: "1 hour",
    6: "6 hours",
    24: "24 hours",
    168: "7 days",
    720: "30 days",
    ALL_TIME: "all time",
}
STATUSES = tuple((str(value), label.lower()) for value, label in Execution.Status.choices)
WINDOW = frozenset({"hours", "from", "to"})


def to_datetime(seconds: float) -> datetime:
    """The time in UTC, capped a day before the calendar's end, so that any zone can write it."""
    return datetime.fromtimestamp(min(seconds, MAX_TIMESTAMP - DAY.total_seconds()), UTC)


def stamp(seconds: float) -> str:
    """A time for URLs: ISO 8601, or Unix seconds where that would lose precision."""
    if seconds == int(seconds):
        return f"{to_datetime(seconds):%Y-%m-%dT%H:%M:%SZ}"
    return f"{seconds:.6f}"


@dataclass(frozen=True)
class PageQuery:
    """The query of the URL, and the numbers behind it."""

    request: OrganizationRequest
    now: datetime
    parameters: dict[str, list[str]]
    """The valid values of the parameters."""
    filters: Filters

    @classmethod
    def from_request(cls, request: OrganizationRequest) -> Self:
        now = timezone.now()
        query = QueryDict(mutable=True)
        for name in NAMES:
            if texts := readable(name, request.GET.getlist(name)):
                query.setlist(name, texts)
        while True:
            try:
                filters = Filters.read(
                    query, hours=DEFAULT_HOURS, now=now.timestamp(), zone=request.zone
                )
            except InvalidValue as error:
                for name in error.details:
                    del query[name]
            else:
                return cls(request, now, dict(query.lists()), filters)

    @property
    def scope(self) -> tuple[Any, Any]:
        """Organization and actor, the first arguments of the functions in executions/queries."""
        return self.request.organization, self.request.actor

    @property
    def seen(self) -> datetime | None:
        """The time up to which the page has shown everything, in a request that refreshes it."""
        text = self.request.GET.get("seen", "")
        is_time = len(text) <= 20 and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
        return to_datetime(float(text)) if is_time and float(text) <= self.now.timestamp() else None

    # The window

    @property
    def hours(self) -> int | None:
        """The length of the window in hours; None if it has explicit bounds."""
        if "from" in self.parameters or "to" in self.parameters:
            return None
        return int(self.parameters.get("hours", [str(DEFAULT_HOURS)])[0])

    @property
    def range_label(self) -> str:
        if self.hours is None:
            return "chosen time"
        days, rest = divmod(self.hours, 24)
        text = f"{self.hours:,} hours" if rest or days < 2 else f"{days:,} days"
        return RANGES.get(self.hours, text)

    @property
    def window_text(self) -> str:
        """The window as the beginning of a sentence."""
        if self.hours is not None:
            return "All time" if self.hours >= ALL_TIME else f"Last {self.range_label}"
        start, end = self.filters.window
        words = [f"from {self.written(start)}"] if start is not None else []
        words += [f"until {self.written(end)}"] if end is not None else []
        text = " ".join(words)
        return text[0].upper() + text[1:]

    def written(self, seconds: float) -> str:
        """The time formatted in the page's zone."""
        moment = to_datetime(seconds).astimezone(self.request.zone)
        clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        return f"{day_of(moment, self.now)}, {clock}"

    @property
    def context_line(self) -> str:
        clock = self.now.astimezone(self.request.zone).strftime("%H:%M:%S")
        return f"{self.window_text}, {self.request.zone} · as of {clock}"

    @property
    def ranges(self) -> list[dict[str, Any]]:
        return [
            {
                "label": label.capitalize() if hours == ALL_TIME else f"Last {label}",
                "url": self.url(hours=None if hours == DEFAULT_HOURS else hours),
                "current": hours == self.hours,
            }
            for hours, label in RANGES.items()
        ]

    @property
    def neighbours(self) -> list[dict[str, str]]:
        """Links to the period of equal length before and to the one after, if it has begun."""
        (first, end), now = self.filters.window, int(self.now.timestamp())
        if first is None:
            return []
        start, until = int(first), now if end is None else int(end)
        length, found = until - start, []
        if start > length:  # a period before 1970 may begin before the calendar
            earlier = {"from_": stamp(start - length), "to": stamp(start)}
            found = [self._neighbour("Earlier", start - length, start, earlier)]
        if until >= now:
            return found
        # One that would reach now, but for the time in which one looked at this page, is the last
        # hours.
        later: dict[str, object] = {"from_": stamp(until), "to": stamp(until + length)}
        if until + length + length // 20 >= now and length % 3600 == 0:
            later = {"hours": None if length == DEFAULT_HOURS * 3600 else length // 3600}
        return [*found, self._neighbour("Later", until, min(until + length, now), later)]

    def _neighbour(
        self, word: str, start: float, end: float, changes: dict[str, Any]
    ) -> dict[str, str]:
        icon, key = ("back", "[") if word == "Earlier" else ("next", "]")
        label = f"{word}: {self.written(start)} to {self.written(end)}"
        return {"label": label, "url": self._sorted_url(changes), "icon": icon, "key": key}

    @property
    def edges(self) -> list[dict[str, str]]:
        """The fields for explicit bounds, as <input type=datetime-local> expects them."""
        names = (("from", "From"), ("to", "Until"))
        return [
            {
                "name": name,
                "label": label,
                "value": f"{to_datetime(edge).astimezone(self.request.zone):%Y-%m-%dT%H:%M:%S}"
                if edge is not None
                else "",
            }
            for (name, label), edge in zip(names, self.filters.window, strict=True)
        ]

    # URLs

    def url(self, page: str = "", /, **changes: object) -> str:
        """The URL of a page (by default this one) with the same query except for `changes`.

        None and () remove a parameter; changing the window replaces all of it. Write `from_` for
        `from`.
        """
        changes = {key.rstrip("_"): value for key, value in changes.items()}
        query: dict[str, object] = {**self.parameters}
        if WINDOW & set(changes):
            query = {key: value for key, value in query.items() if key not in WINDOW}
        if self.request.GET.get("tz") == self.request.zone.key:
            query["tz"] = self.request.zone.key
        if self.request.GET.get("compare") == NOT_COMPARED:
            query["compare"] = NOT_COMPARED
        query |= changes
        kept = {key: value for key, value in query.items() if value is not None and value != ()}
        if not page and (view := view_of(self.request)):
            kept[VIEW] = view
        path = reverse(page) if page else self.request.path
        return f"{path}?{urlencode(kept, doseq=True)}" if kept else path

    def url_of_only(self, name: str, value: str) -> str:
        """The URL of this list for one value of a filter, in the same order."""
        return self._sorted_url({name: value, f"not_{name}": ()})

    def url_excluding(self, name: str, value: str) -> str:
        """The URL of this list without a value of a filter, in the same order."""
        wanted = [each for each in self.parameters.get(name, ()) if each != value]
        excluded = [each for each in self.parameters.get(f"not_{name}", ()) if each != value]
        return self._sorted_url({name: tuple(wanted), f"not_{name}": (*excluded, value)})

    def url_of_opposite(self, name: str) -> str:
        """The URL of this list with the values of the parameter `name` excluded, or wanted if it
        excludes them.
        """
        other = name.removeprefix("not_") if name.startswith("not_") else f"not_{name}"
        values = (*self.parameters.get(other, ()), *self.parameters.get(name, ()))
        return self._sorted_url({name: (), other: tuple(dict.fromkeys(values))})

    def _sorted_url(self, changes: dict[str, object]) -> str:
        return self.url(**changes, sort=self.request.GET.get("sort"))

    @property
    def unnarrowed_url(self) -> str:
        """The URL of the whole window, without filters."""
        return self.url(**{name: None for name in NAMES if name not in WINDOW})

    def kept(self, *without: str) -> list[tuple[str, str]]:
        """The URL's parameters that a form must send along, except those in `without`."""
        dropped = {*without, *PLACE, "seen", VIEW}
        found = [
            (name, str(text))
            for name, texts in self.request.GET.lists()
            for text in texts
            if name not in dropped
        ]
        view = view_of(self.request)
        return [*found, (VIEW, view)] if view else found

    def state(self, **more: str) -> list[tuple[str, str]]:
        """What a saved view of the list keeps: the valid parameters, the zone, and `more`."""
        pairs = [(name, text) for name, texts in self.parameters.items() for text in texts]
        if self.request.GET.get("tz") == self.request.zone.key:
            more["tz"] = self.request.zone.key
        return pairs + [(name, text) for name, text in more.items() if text]

    # The filters

    @property
    def is_narrowed(self) -> bool:
        return bool(self.filters.conditions)

    @cached_property
    def page_filters(self) -> RunFilters:
        """The filters as chips, and the menu that sets them."""
        known = (
            Filter("agent_name", "agent", verb="contains", is_in_menu=False),
            Filter("from", "started", verb="at or after", is_in_menu=False),
            Filter("to", "started", verb="before", is_in_menu=False),
        )
        edges = zip(("from", "to"), self.filters.window, strict=True)
        words = {
            name: self.written(edge)
            for name, edge in edges
            if edge is not None and name in self.parameters
        }
        values = {
            each.name: self.parameters[each.name][0]
            for each in known
            if each.name in self.parameters
        }
        return RunFilters(self.request, known, values, words, self._facets())

    def _facets(self) -> tuple[Facet, ...]:
        facets = (
            ("status", "status", STATUSES, True),
            ("name", "agent", [(name, name) for name in self.in_window.by_agent], True),
            ("user", "user", self._people(), True),
            ("tag", "tag", [(tag, tag) for tag in known_tags(*self.scope)], True),
            ("agent", "agent", self._agents(), False),
        )
        return tuple(
            Facet(
                name=name,
                label=label,
                choices=choices,
                wanted=tuple(self.parameters.get(name, ())),
                excluded=tuple(self.parameters.get(f"not_{name}", ())),
                is_in_menu=is_in_menu,
                include_url=self.url_of_opposite(f"not_{name}"),
                exclude_url=self.url_of_opposite(name),
                keeps_order=name == "status",
            )
            for name, label, choices, is_in_menu in facets
        )

    def _agents(self) -> Choices:
        """The names of the agents that the query names by id."""
        named = {*self.filters.agent, *self.filters.not_agent}
        if not named:
            return []
        agents = Agent.objects.for_organization(self.request.organization).filter(pk__in=named)
        return [(str(agent.pk), agent.name) for agent in agents]

    def _people(self) -> Choices:
        people = self.in_window.user_map
        found = {
            NOBODY if key is None else str(key): "nobody" if key is None else people[key]
            for key in self.in_window.by_user
        }
        if NOBODY in (*self.filters.user, *self.filters.not_user):
            found[NOBODY] = "nobody"
        return list(found.items())

    # The numbers

    @cached_property
    def statistics(self) -> queries.Statistics:
        return queries.statistics(*self.scope, self.filters)

    @cached_property
    def live(self) -> Counter[str]:
        """The number of matching executions that are live now by status, whatever the window."""
        return queries.live_by_status(*self.scope, self.filters)

    @cached_property
    def in_window(self) -> queries.Statistics:
        """Statistics of the whole window without the other filters, to offer choices for them."""
        whole = self.filters.window_alone()
        return self.statistics if whole == self.filters else queries.statistics(*self.scope, whole)

    @cached_property
    def all_time(self) -> queries.Totals:
        return queries.totals(*self.scope)


def readable(name: str, texts: Iterable[str]) -> list[str]:
    """The values that can be read. Those of a parameter that cannot be repeated are checked later,
    because some depend on each other.
    """
    found = [text.strip() for text in texts if text.strip() and text.isprintable()]
    if name not in REPEATABLE:
        return found[-1:]
    valid: dict[str, None] = {}
    for text in found:
        with suppress(InvalidValue):
            valid[str(parse_value(name, text))] = None
    return list(valid)[:MAX_VALUES]
