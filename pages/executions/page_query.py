"""The query of a page of executions: a window of time and filters.

The parameters are those of /api/dashboard/*, so that a query works in both places. Values that the
API refuses are ignored here: a page shows more rather than an error.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from core.days import DAY, MAX_TIMESTAMP
from core.errors import InvalidValue
from executions import queries
from executions.filters import NAMES, NOBODY, Filters
from executions.known_tags import known_tags
from executions.models import Execution
from pages.decorators import OrganizationRequest
from pages.lists import PLACE, Choices, Filter, ListFilters

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
PARAMETERS = (*NAMES, "name")


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
    parameters: dict[str, str]
    """The parameters with a valid value."""
    filters: Filters

    @classmethod
    def from_request(cls, request: OrganizationRequest) -> "PageQuery":
        now = timezone.now()
        query = QueryDict(mutable=True)
        for name in PARAMETERS:
            text = request.GET.get(name, "").strip()
            if text and text.isprintable():
                query[name] = text
        while True:
            try:
                filters = Filters.read(
                    query, hours=DEFAULT_HOURS, now=now.timestamp(), zone=request.zone
                )
            except InvalidValue as error:
                for name in error.details:
                    del query[name]
            else:
                return cls(request, now, {name: str(query[name]) for name in query}, filters)

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
        return int(self.parameters.get("hours", DEFAULT_HOURS))

    @property
    def range_label(self) -> str:
        if self.hours is None:
            return "chosen time"
        return RANGES.get(self.hours, f"{self.hours:,} hours")

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
        year = "" if moment.year == self.now.year else f" {moment.year}"
        clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        return f"{moment.day} {moment:%b}{year}, {clock}"

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

        None removes a parameter; changing the window replaces all of it. Write `from_` for `from`.
        """
        changes = {key.rstrip("_"): value for key, value in changes.items()}
        query: dict[str, object] = {**self.parameters}
        if WINDOW & set(changes):
            query = {key: value for key, value in query.items() if key not in WINDOW}
        if self.request.GET.get("tz") == self.request.zone.key:
            query["tz"] = self.request.zone.key
        query |= changes
        kept = {key: str(value) for key, value in query.items() if value is not None}
        path = reverse(page) if page else self.request.path
        return f"{path}?{urlencode(kept)}" if kept else path

    @property
    def unnarrowed_url(self) -> str:
        """The URL of the whole window, without filters."""
        return self.url(**{name: None for name in PARAMETERS if name not in WINDOW})

    def kept(self, *without: str) -> list[tuple[str, str]]:
        """The URL's parameters that a form must send along, except those in `without`."""
        dropped = {*without, *PLACE, "seen"}
        return [(name, str(text)) for name, text in self.request.GET.items() if name not in dropped]

    # The filters

    @property
    def is_narrowed(self) -> bool:
        return bool(self.filters.conditions)

    @cached_property
    def page_filters(self) -> ListFilters:
        """The filters as chips, and the menu that sets them."""
        known = (
            Filter("name", "agent", self._names()),
            Filter("user", "user", self._people()),
            Filter("status", "status", STATUSES),
            Filter("tag", "tag", self._tags(), kind="text"),
            Filter("agent_name", "agent", verb="contains", is_in_menu=False),
            Filter("agent", "agent", is_in_menu=False),
            Filter("from", "started", verb="at or after", is_in_menu=False),
            Filter("to", "started", verb="before", is_in_menu=False),
        )
        edges = zip(("from", "to"), self.filters.window, strict=True)
        words = {
            name: self.written(edge)
            for name, edge in edges
            if edge is not None and name in self.parameters
        }
        if self.filters.agent:
            words["agent"] = self._agent_name()
        values = {
            each.name: self.parameters[each.name] for each in known if each.name in self.parameters
        }
        return ListFilters(self.request, known, values, words)

    def _agent_name(self) -> str:
        agents = Agent.objects.for_organization(self.request.organization)
        found = agents.filter(pk=self.filters.agent).first()
        return found.name if found else str(self.filters.agent)

    def _names(self) -> Choices:
        return _with_chosen({name: name for name in self.in_window.by_agent}, self.filters.name)

    def _tags(self) -> Choices:
        return [(tag, tag) for tag in known_tags(*self.scope)]

    def _people(self) -> Choices:
        people = self.in_window.user_map
        found = {
            NOBODY if key is None else str(key): "nobody" if key is None else people[key]
            for key in self.in_window.by_user
        }
        return _with_chosen(found, self.filters.user)

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


def _with_chosen(found: dict[str, str], chosen: str) -> Choices:
    """The choices sorted by label; the selected one stays even if nothing in the window has it."""
    if chosen and chosen not in found:
        found = {**found, chosen: chosen}
    return sorted(found.items(), key=lambda choice: choice[1].lower())
