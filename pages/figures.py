"""The strip of five figures: some days, each of them, and the same weekdays before.

The overview and the page of an agent show the same five in the same order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from analytics.agent_usage import UsageDay
from core.days import DAY
from core.formatting import SPACE, money, number, percent
from executions.queries import RunDay
from pages.charts import change, short_day

WEEK = 7
NOTEWORTHY = 1.2
"""A rise of what is unwelcome is coloured from here."""
Count = int | Decimal


@dataclass(frozen=True)
class Sums:
    by_day: Sequence[Count]
    total: Count
    before: Count

    @property
    def today(self) -> Count:
        return self.by_day[-1]


@dataclass(frozen=True)
class Strip:
    """The days of the strip, `length` of them with `today` the last, and those that it compares
    with.
    """

    today: date
    length: int

    @property
    def shift(self) -> int:
        """Whole weeks back to the days before, so that they are the same weekdays."""
        return -(-self.length // WEEK) * WEEK

    @property
    def first(self) -> date:
        return self.today - (self.length - 1) * DAY

    @property
    def before(self) -> date:
        """The first of the days before, and of all that are read."""
        return self.first - self.shift * DAY

    @property
    def days(self) -> list[date]:
        return [self.first + n * DAY for n in range(self.length)]

    @property
    def days_before(self) -> list[date]:
        return [day - self.shift * DAY for day in self.days]

    def is_comparable(self, since: date) -> bool:
        """Whether what began on that day was there on all of the days before."""
        return since <= self.before

    def comparison(self, since: date) -> str:
        """With what the figures are compared, as the end of a sentence; empty if with nothing."""
        if not self.is_comparable(since):
            return ""
        return f", compared with the same weekdays from {self.words_before}"

    @property
    def words_before(self) -> str:
        """The dates of the days before; no line ends within one."""
        first, last = (
            short_day(day).replace(" ", "\u00a0")
            for day in (self.days_before[0], self.days_before[-1])
        )
        return f"{first} to {last}"

    def sums(self, days: Mapping[date, Any], name: str) -> Sums:
        """The values of that name; days that are not in `days` have 0."""

        def value(day: date) -> Count:
            return getattr(days[day], name) if day in days else 0

        by_day = [value(day) for day in self.days]
        return Sums(by_day, sum(by_day), sum(value(day) for day in self.days_before))


@dataclass(frozen=True)
class Links:
    """The pages with the rows behind the figures."""

    issued: str
    refused: str
    runs: str
    failed: str
    cost: str


def figures(
    strip: Strip,
    usage: Mapping[date, UsageDay],
    runs: Mapping[date, RunDay] | None,
    links: Links,
    *,
    since: date,
    flagged: Collection[date] = (),
) -> list[dict[str, Any]]:
    """Tokens and refusals; with `runs`, those that the viewer may see, failures and cost too.

    They are compared if what they are about was there `since` early enough.
    """
    make = partial(figure, strip, is_comparable=strip.is_comparable(since))
    issued, refused = strip.sums(usage, "issued"), strip.sums(usage, "refused")
    asked = issued.total + refused.total
    share = f"{percent(100 * refused.total / asked)} of requests" if refused.total else ""
    found = [
        make("Tokens", issued, number, links.issued, flagged=flagged),
        make("Refused", refused, number, links.refused, share, is_unwelcome=True),
    ]
    if runs is None:
        return found
    all_runs, failed, cost = (strip.sums(runs, name) for name in ("runs", "failed", "cost"))
    rate = f"{percent(100 * failed.total / all_runs.total)} of runs" if failed.total else ""
    each = f"{money(cost.total / all_runs.total)} a run" if cost.total and all_runs.total else ""
    return [
        *found,
        make("Runs", all_runs, number, links.runs),
        make("Failed", failed, number, links.failed, rate, is_unwelcome=True),
        make("Cost", cost, money, links.cost, each, is_unwelcome=True),
    ]


def figure(
    strip: Strip,
    label: str,
    sums: Sums,
    shown: Callable[[Count], str],
    url: str,
    share: str = "",
    *,
    is_comparable: bool,
    is_unwelcome: bool = False,
    flagged: Collection[date] = (),
) -> dict[str, Any]:
    is_rise = is_unwelcome and sums.total > NOTEWORTHY * float(sums.before)
    compared = sums.before if is_comparable else 0
    today = f"{shown(sums.today)} today so far".replace(" ", SPACE) if sums.today else ""
    notes = [f"from {shown(compared)}" if compared else "", share, today]
    return {
        "label": label,
        "value": shown(sums.total) if sums.total else "0",
        "change": change(float(sums.total), float(compared), rise="bad" if is_rise else ""),
        "note": " · ".join(filter(None, notes)),
        "url": url if sums.total else "",
        "spark": [
            {"count": float(count), "partial": day == strip.today, "flagged": day in flagged}
            for day, count in zip(strip.days, sums.by_day, strict=True)
        ],
    }
