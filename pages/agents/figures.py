"""The strip of figures on an agent's page: 30 days, each day, and the same weekdays before.

Days are those of UTC, as in the rollups that count them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from agents.models import Agent
from analytics.agent_usage import UsageDay
from core.days import DAY
from core.formatting import SPACE, money, number, percent
from executions.queries import AgentDay
from pages.charts import change, short_day

DAYS = 30
SHIFT = 35
"""Whole weeks back to the days before, which so are the same weekdays."""
NOTEWORTHY = 1.2
"""A rise of what is unwelcome is coloured from here."""
Count = int | Decimal


@dataclass(frozen=True)
class Strip:
    """The days of the strip, and those that it compares with."""

    today: date

    @property
    def first(self) -> date:
        return self.today - (DAYS - 1) * DAY

    @property
    def before(self) -> date:
        """The first of the days before, and of all that are read."""
        return self.first - SHIFT * DAY

    @property
    def days(self) -> list[date]:
        return [self.first + n * DAY for n in range(DAYS)]

    @property
    def days_before(self) -> list[date]:
        return [day - SHIFT * DAY for day in self.days]

    def is_comparable(self, agent: Agent) -> bool:
        """Whether the agent existed on all of the days before."""
        return agent.created_at.date() <= self.before

    def context(self, agent: Agent) -> str:
        if not self.is_comparable(agent):
            return f"The last {DAYS} days (UTC), today included."
        first, last = self.days_before[0], self.days_before[-1]
        return (
            f"The last {DAYS} days (UTC), today included, beside the same weekdays from "
            f"{short_day(first)} to {short_day(last)}."
        )


def figures(
    agent: Agent,
    strip: Strip,
    usage: Mapping[date, UsageDay],
    runs: Mapping[date, AgentDay] | None,
    flagged: Sequence[date] = (),
) -> list[dict[str, Any]]:
    """Tokens and refusals; with `runs`, those that the viewer may see, failures and cost too."""
    requests = f"{reverse('tokens:list')}?" + urlencode(
        {"agent": agent.pk, "days": DAYS, "tz": "UTC"}
    )
    make = Maker(strip, is_known=strip.is_comparable(agent))
    issued, refused = make.sums(usage, "issued"), make.sums(usage, "refused")
    asked = issued.total + refused.total
    share = f"{percent(100 * refused.total / asked)} of requests" if refused.total else ""
    found = [
        make.figure("Tokens", issued, number, f"{requests}&outcome=issued", flagged=flagged),
        make.figure(
            "Refused", refused, number, f"{requests}&outcome=refused", share, is_unwelcome=True
        ),
    ]
    if runs is None:
        return found
    all_runs, failed, cost = (make.sums(runs, name) for name in ("runs", "failed", "cost"))
    window = {"agent": agent.pk, "from": strip.first.isoformat(), "tz": "UTC"}
    listed = f"{reverse('executions:list')}?{urlencode(window)}"
    rate = f"{percent(100 * failed.total / all_runs.total)} of runs" if failed.total else ""
    each = f"{money(cost.total / all_runs.total)} a run" if cost.total and all_runs.total else ""
    return [
        *found,
        make.figure("Runs", all_runs, number, listed),
        make.figure("Failed", failed, number, f"{listed}&status=error", rate, is_unwelcome=True),
        make.figure("Cost", cost, money, f"{listed}&sort=-cost", each, is_unwelcome=True),
    ]


@dataclass(frozen=True)
class Sums:
    by_day: Sequence[Count]
    total: Count
    before: Count

    @property
    def today(self) -> Count:
        return self.by_day[-1]


@dataclass(frozen=True)
class Maker:
    """Makes figures of the same days."""

    strip: Strip
    is_known: bool
    """Whether the agent existed on all of the days before."""

    def sums(self, days: Mapping[date, Any], name: str) -> Sums:
        def value(day: date) -> Count:
            return getattr(days[day], name) if day in days else 0

        by_day = [value(day) for day in self.strip.days]
        before = sum(value(day) for day in self.strip.days_before)
        return Sums(by_day, sum(by_day), before)

    def figure(
        self,
        label: str,
        sums: Sums,
        shown: Callable[[Count], str],
        url: str,
        share: str = "",
        *,
        is_unwelcome: bool = False,
        flagged: Sequence[date] = (),
    ) -> dict[str, Any]:
        is_rise = is_unwelcome and sums.total > NOTEWORTHY * float(sums.before)
        compared = sums.before if self.is_known else 0
        today = f"{shown(sums.today)} today so far" if sums.today else ""
        notes = [f"from {shown(compared)}" if compared else "", share, today]
        return {
            "label": label,
            "value": shown(sums.total) if sums.total else "0",
            "change": change(float(sums.total), float(compared), rise="bad" if is_rise else ""),
            "note": " · ".join(filter(None, notes)).replace(" today", f"{SPACE}today"),
            "url": url if sums.total else "",
            "spark": [
                {
                    "count": float(count),
                    "partial": day == self.strip.today,
                    "flagged": day in flagged,
                }
                for day, count in zip(self.strip.days, sums.by_day, strict=True)
            ],
        }
