"""The numbers of the overview, in the format of its strip, charts and table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from analytics.agent_usage import UsageDay
from analytics.findings.finding import Finding
from analytics.metrics import METRICS, Metric
from analytics.periods import Period
from analytics.queries import DayCount, HourCount, count_by_hour_of_week
from executions.models import Execution
from executions.queries import RunDay
from organizations.models import Organization
from pages.charts import day_notes, heatmap, trend_chart
from pages.decorators import OrganizationRequest
from pages.figures import Links, Strip
from pages.lists import NOT_COMPARED

RANGES = (7, 30, 90)
DEFAULT_RANGE = 30
OUTCOMES = (("issued", "issued"), ("refused", "refused"), ("requests", "issued or refused"))
TITLES = {
    "issued": ("Tokens issued per day", "tokens"),
    "refused": ("Requests refused per day", "requests"),
    "requests": ("Token requests per day", "requests"),
}


@dataclass(frozen=True)
class View:
    """The parameters of the overview."""

    request: OrganizationRequest
    period: Period
    outcome: str
    """The selected outcome; without one the trend counts issued tokens, the heatmap requests."""
    is_compared: bool = True
    """Whether the numbers stand beside those of the days before."""

    @classmethod
    def of(cls, request: OrganizationRequest) -> "View":
        text = request.GET.get("days", "")
        days = next((days for days in RANGES if text == str(days)), DEFAULT_RANGE)
        outcome = request.GET.get("outcome", "")
        return cls(
            request,
            Period.last_days(days, request.zone),
            outcome if outcome in dict(OUTCOMES) else "",
            request.GET.get("compare") != NOT_COMPARED,
        )

    @cached_property
    def days(self) -> int:
        return len(self.period.dates)

    @cached_property
    def strip(self) -> Strip:
        return Strip(self.period.last, self.days)

    @property
    def with_before(self) -> Period:
        """The period, and the days before it with which it is compared."""
        period = self.period
        return Period.of_days(self.strip.before, period.last, period.tz, period.now, "day")

    @property
    def trend_metric(self) -> Metric:
        return METRICS[self.outcome or "issued"]

    @property
    def activity_metric(self) -> Metric:
        return METRICS[self.outcome or "requests"]

    def rows_url(self, page: str = "tokens:list", /, **filters: object) -> str:
        """The URL of the rows behind a number, in the zone in which it was counted. Write `from_`
        for `from`.
        """
        tz = self.request.GET.get("tz")
        query = {**filters, "tz": tz if tz == self.request.zone.key else None}
        wanted = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        return f"{reverse(page)}?{urlencode(wanted)}"

    @property
    def links(self) -> Links:
        first, runs = self.strip.first.isoformat(), "executions:list"
        return Links(
            issued=self.rows_url(days=self.days, outcome="issued"),
            refused=self.rows_url(days=self.days, outcome="refused"),
            runs=self.rows_url(runs, from_=first),
            failed=self.rows_url(runs, from_=first, status=Execution.FAILED),
            cost=self.rows_url(runs, from_=first, sort="-cost"),
        )


def usage_of(issued: Sequence[DayCount], refused: Sequence[DayCount]) -> dict[date, UsageDay]:
    """The days that have any."""
    return {
        a.date: UsageDay(a.count, b.count)
        for a, b in zip(issued, refused, strict=True)
        if a.count or b.count
    }


def known_since(
    organization: Organization, zone: tzinfo, *counted: Mapping[date, UsageDay | RunDay]
) -> date:
    """When counting began: with the organization, or with what it brought along."""
    created = organization.created_at.astimezone(zone).date()
    return min([created, *(day for days in counted for day in days)])


def total(days: Sequence[DayCount]) -> int:
    return sum(day.count for day in days)


def trend(
    view: View,
    issued: Sequence[DayCount],
    refused: Sequence[DayCount],
    findings: Sequence[Finding],
    *,
    since: date,
) -> dict[str, Any]:
    """The chart of the days; `issued` and `refused` begin with the days before them, which are
    shown if all was counted since then.
    """
    key = view.trend_metric.key
    sums = [DayCount(a.date, a.count + b.count) for a, b in zip(issued, refused, strict=True)]
    title, unit = TITLES[key]
    counts = {"issued": issued, "refused": refused, "requests": sums}[key]
    strip, by_day = view.strip, {day.date: day.count for day in counts}
    days_before = zip(strip.days, strip.days_before, strict=True)
    return trend_chart(
        counts[-view.days :],
        before={day: by_day.get(earlier, 0) for day, earlier in days_before}
        if strip.is_comparable(since) and view.is_compared
        else None,
        before_label=strip.words_before,
        name="tokens-per-day",
        title=title,
        unit=unit,
        today=view.period.last,
        url=lambda day: view.rows_url(date=day.isoformat(), outcome=key),
        notes=day_notes(findings) if key == "issued" else {},
        since=view.request.organization.created_at.astimezone(view.period.tz).date(),
    )


def activity(view: View) -> dict[str, Any]:
    metric = view.activity_metric
    cells: tuple[HourCount, ...] = count_by_hour_of_week(
        view.request.organization, view.period, metric
    )
    return heatmap(
        cells,
        title="When agents are active",
        unit=TITLES[metric.key][1],
        url=lambda dow, hour: view.rows_url(days=view.days, dow=dow, hour=hour, outcome=metric.key),
    )
