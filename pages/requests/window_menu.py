"""The window of the page of requests in words, and the links and fields that change it."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from analytics.periods import FIRST_YEAR
from analytics.requests.window import DEFAULT_DAYS
from core.days import DAY, day_start
from core.formatting import day_of, days_of
from pages.lists import NOT_COMPARED, VIEW, view_of
from pages.requests.page_query import EDGES, RequestQuery

RANGES = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days"}


@dataclass(frozen=True)
class WindowMenu:
    query: RequestQuery

    @property
    def range_label(self) -> str:
        if "date" in self.query.values:
            return day_of(self.query.window.start, self.query.now)
        if self.query.window.days is None:
            return "chosen time"
        return RANGES.get(self.query.window.days, f"{self.query.window.days} days")

    @property
    def context_line(self) -> str:
        zone, days = self.query.zone, self.query.window.days
        if "date" in self.query.values:
            text = self.query.words["date"]
        elif days is not None:
            text = "Today" if days == 1 else f"Last {days} days"
        else:
            text = f"From {self.query.words['from']} until {self.query.words['to']}"
        return f"{text}, {zone} · as of {self.query.now.astimezone(zone):%H:%M:%S}"

    @property
    def before_label(self) -> str:
        """What the numbers are compared with, for the end of a sentence."""
        days = self.query.window.days_back
        if days == 1:
            return "the day before"
        if days == 7:
            return "the week before"
        return f"{days // 7} weeks before" if days % 7 == 0 else f"{days} days before"

    @property
    def before_text(self) -> str:
        """The same with its dates, as the beginning of a sentence."""
        previous = self.query.window.previous
        start, end = (at.astimezone(self.query.zone) for at in (previous.start, previous.end))
        until = "" if self.query.window.end <= self.query.window.now else f" until {end:%H:%M}"
        last = (end - timedelta(microseconds=1)).date()
        weekday = f"{start:%a} " if start.date() >= last else ""
        return f"{weekday}{days_of(start, end, self.query.now)}{until}"

    @property
    def ranges(self) -> list[dict[str, Any]]:
        yesterday = self.query.now.astimezone(self.query.zone).date() - DAY
        found = [
            {
                "label": label if days == 1 else f"Last {label}",
                "url": self.query.url(days=None if days == DEFAULT_DAYS else days),
                "current": days == self.query.window.days,
            }
            for days, label in RANGES.items()
        ]
        is_yesterday = self.query.values.get("date") == yesterday.isoformat()
        found.insert(
            1,
            {
                "label": "Yesterday",
                "url": self.query.url(date=yesterday.isoformat()),
                "current": is_yesterday,
            },
        )
        return found

    @property
    def neighbours(self) -> list[dict[str, str]]:
        """Links to the period of equal length before and to the one after, if it has begun."""
        window, now = self.query.window, self.query.now
        spans = [("Earlier", self._shifted(-1))]
        spans += [("Later", self._shifted(1))] if window.end <= now else []
        return [
            {
                "label": f"{word}: {self._span_words(start, end)}",
                "icon": "back" if word == "Earlier" else "next",
                "key": "[" if word == "Earlier" else "]",
                "url": self._url_of(start, end),
            }
            for word, (start, end) in spans
            if start.year >= FIRST_YEAR
        ]

    def _shifted(self, times: int) -> tuple[datetime, datetime]:
        """The bounds of the period so many lengths away. Whole days stay whole, whatever the clock
        does.
        """
        zone = self.query.zone
        start, end = (
            at.astimezone(zone) for at in (self.query.window.start, self.query.window.end)
        )
        if not _is_midnight(start) or not _is_midnight(end):
            length = times * (self.query.window.end - self.query.window.start)
            return start + length, end + length
        days = times * (end.date() - start.date())
        try:
            return day_start(start.date() + days, zone), day_start(end.date() + days, zone)
        except OverflowError:
            return start.replace(year=1), end

    def _url_of(self, start: datetime, end: datetime) -> str:
        """The URL of a period: of the last days if it ends today, so that it stays the last."""
        first, last = (at.astimezone(self.query.zone) for at in (start, end))
        if not _is_midnight(first) or not _is_midnight(last):
            return self.query.span_url(start, end)
        days = (last.date() - first.date()).days
        if last > self.query.now:
            return self.query.url(days=None if days == DEFAULT_DAYS else days)
        if days == 1:
            return self.query.url(date=first.date().isoformat())
        return self.query.url(from_=first.date().isoformat(), to=(last.date() - DAY).isoformat())

    def _span_words(self, start: datetime, end: datetime) -> str:
        first, last = (at.astimezone(self.query.zone) for at in (start, end))
        if not _is_midnight(first) or not _is_midnight(last):
            return f"{self.query.written(start)} to {self.query.written(end)}"
        return days_of(first, last, self.query.now)

    @property
    def comparisons(self) -> list[dict[str, Any]]:
        """What the numbers can be compared with; a key changes to the other choice."""
        is_on = self.query.is_compared
        label = self.before_label
        return [
            {
                "label": label[0].upper() + label[1:],
                "url": self.query.url(compare=None),
                "current": is_on,
            },
            {"label": "Nothing", "url": self.query.url(compare=NOT_COMPARED), "current": not is_on},
        ]

    @property
    def whole_before_words(self) -> str:
        """The dates of the whole previous window."""
        previous = self.query.window.whole_previous
        return self._span_words(previous.start, previous.end)

    @property
    def edges(self) -> list[dict[str, str]]:
        """The fields for explicit bounds, as <input type=datetime-local> expects them."""
        bounds = (("from", "From", self.query.window.start), ("to", "Until", self.query.window.end))
        return [
            {
                "name": name,
                "label": label,
                "value": f"{moment.astimezone(self.query.zone):%Y-%m-%dT%H:%M}",
            }
            for name, label, moment in bounds
        ]

    @property
    def kept_fields(self) -> list[tuple[str, str]]:
        kept = [pair for pair in self.query.values.items() if pair[0] not in EDGES]
        if "tz" in self.query.request.GET:
            kept.append(("tz", self.query.zone.key))
        if view := view_of(self.query.request):
            kept.append((VIEW, view))
        return kept


def _is_midnight(moment: datetime) -> bool:
    return moment.time() == time.min
