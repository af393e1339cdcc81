"""The window of the page of requests in words, and the links and fields that change it."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from analytics.periods import FIRST_YEAR
from analytics.requests.window import DEFAULT_DAYS
from core.days import DAY
from pages.requests.page_query import EDGES, RequestQuery

RANGES = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days"}


@dataclass(frozen=True)
class WindowMenu:
    query: RequestQuery

    @property
    def range_label(self) -> str:
        if "date" in self.query.values:
            local = self.query.window.start.astimezone(self.query.zone)
            return f"{local.day} {local:%b}"
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
        if start.date() >= last:
            return f"{start:%a} {start.day} {start:%b}{until}"
        return f"{start.day} {start:%b} to {last.day} {last:%b}{until}"

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
        """Links to the day before and the day after a single day."""
        day = date.fromisoformat(self.query.values.get("date", date.max.isoformat()))
        today = self.query.now.astimezone(self.query.zone).date()
        if day > today or day.year < FIRST_YEAR:
            return []
        return [
            {
                "label": f"{other.day} {other:%b}",
                "icon": icon,
                "url": self.query.url(date=other.isoformat()),
            }
            for other, icon in ((day - DAY, "back"), (day + DAY, "next"))
            if other <= today
        ]

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
        return kept
