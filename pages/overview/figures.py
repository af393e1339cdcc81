"""The numbers of the overview, in the format of its cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from analytics.findings.finding import Finding
from analytics.metrics import METRICS, Metric
from analytics.periods import Period
from analytics.queries import (
    AgentCount,
    AtWork,
    DayCount,
    HourCount,
    count_by_hour_of_week,
    last_used_by_agent,
)
from core.formatting import absolute_time, counted, percent
from executions.models import Execution
from executions.queries import recent_activity
from organizations.actors import Scope
from organizations.models import Organization
from pages.charts import change, day_notes, heatmap, trend_chart
from pages.decorators import OrganizationRequest
from pages.executions.page_query import ALL_TIME, DEFAULT_HOURS, to_datetime
from tokens.models import Credential

RANGES = (7, 30, 90)
DEFAULT_RANGE = 30
SHOWN_AGENTS = 10
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

    @classmethod
    def of(cls, request: OrganizationRequest) -> "View":
        text = request.GET.get("days", "")
        days = next((days for days in RANGES if text == str(days)), DEFAULT_RANGE)
        outcome = request.GET.get("outcome", "")
        return cls(
            request,
            Period.last_days(days, request.zone),
            outcome if outcome in dict(OUTCOMES) else "",
        )

    @property
    def days(self) -> int:
        return len(self.period.dates)

    @property
    def trend_metric(self) -> Metric:
        return METRICS[self.outcome or "issued"]

    @property
    def activity_metric(self) -> Metric:
        return METRICS[self.outcome or "requests"]

    def rows_url(self, page: str = "tokens:list", /, **filters: object) -> str:
        """The URL of the rows behind a number, in the zone in which it was counted."""
        tz = self.request.GET.get("tz")
        query = {**filters, "tz": tz if tz == self.request.zone.key else None}
        wanted = {name: value for name, value in query.items() if value is not None}
        return f"{reverse(page)}?{urlencode(wanted)}"


def figures(
    view: View, issued: Sequence[DayCount], refused: Sequence[DayCount], work: AtWork
) -> list[dict[str, Any]]:
    """The figures of the period, compared with the period of equal length before it."""
    before = f"vs the previous {view.days} days"
    issued_before, issued_now = (total(part) for part in halves(issued))
    refused_before, refused_now = (total(part) for part in halves(refused))
    requests = issued_now + refused_now
    share = f"{percent(100 * refused_now / requests)} of requests" if requests else ""
    return [
        {
            "label": "Tokens issued",
            "value": f"{issued_now:,}",
            "change": change(issued_now, issued_before, rise="good"),
            "note": before if issued_before else "nothing to compare with yet",
            "url": view.rows_url(days=view.days, outcome="issued"),
        },
        {
            "label": "Refused",
            "value": f"{refused_now:,}",
            "change": change(refused_now, refused_before, rise="bad", fall="good"),
            "note": f"· {share}" if share and refused_before else share,
            "url": view.rows_url(days=view.days, outcome="refused"),
        },
        {
            "label": "Active agents",
            "value": f"{work.working:,}",
            "of": f"{work.registered:,}",
            "note": "received a token this month",
            "url": f"{reverse('agents:list')}?sort=-tokens",
        },
        credentials_figure(view.request.organization),
    ]


def credentials_figure(organization: Organization) -> dict[str, Any]:
    soon = timezone.now() + timedelta(days=7)
    usable = Credential.objects.for_organization(organization).usable().of_acting_agents()
    counts = usable.aggregate(live=Count("pk"), ending=Count("pk", filter=Q(expires_at__lte=soon)))
    ending = counts["ending"]
    verb = "expires" if ending == 1 else "expire"
    note = f"{ending:,} {verb} within 7 days" if ending else "none expire within 7 days"
    return {"label": "Live credentials", "value": f"{counts['live']:,}", "note": note}


def execution_figures(view: View) -> list[dict[str, Any]]:
    """Running and failed executions that the person may see; empty if they may see none."""
    request = view.request
    if not request.actor.may(Scope.EXECUTIONS_READ):
        return []
    since = view.period.now - timedelta(hours=DEFAULT_HOURS)
    found = recent_activity(request.organization, request.actor, since.timestamp())
    if found.newest is None:
        return []
    newest = f"newest execution started {absolute_time(to_datetime(found.newest), view.period.now)}"
    awaiting = f"{found.awaiting:,} awaiting an answer, " if found.awaiting else ""
    share = f"{percent(100 * found.error_rate)} of {counted(found.total, 'executions')}"
    return [
        {
            "label": "Running now",
            "value": f"{found.running:,}",
            "note": awaiting + newest,
            "url": view.rows_url("executions:list", hours=ALL_TIME, status="running"),
        },
        {
            "label": f"Failed in {DEFAULT_HOURS} h",
            "value": f"{found.failed:,}",
            "note": share if found.total else "nothing ran",
            "url": view.rows_url("executions:list", hours=DEFAULT_HOURS, status=Execution.FAILED),
        },
    ]


def halves(days: Sequence[DayCount]) -> tuple[Sequence[DayCount], Sequence[DayCount]]:
    return days[: len(days) // 2], days[len(days) // 2 :]


def total(days: Sequence[DayCount]) -> int:
    return sum(day.count for day in days)


def trend(
    view: View,
    issued: Sequence[DayCount],
    refused: Sequence[DayCount],
    findings: Sequence[Finding],
) -> dict[str, Any]:
    key = view.trend_metric.key
    sums = [DayCount(a.date, a.count + b.count) for a, b in zip(issued, refused, strict=True)]
    title, unit = TITLES[key]
    return trend_chart(
        {"issued": issued, "refused": refused, "requests": sums}[key],
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


def month_summary(month: Period, work: AtWork) -> str:
    shown = min(work.served, SHOWN_AGENTS)
    gone = work.served - work.working
    since = f", {gone:,} of them decommissioned since" if gone else ""
    agents = f"{counted(work.served, 'agents')} that got a token{since}"
    return f"{month.first:%B %Y} so far · {shown} of {agents}"


def agents_of(view: View, usage: Sequence[AgentCount]) -> list[dict[str, Any]]:
    """The month's busiest agents with their shares of all tokens."""
    tokens = sum(agent.count for agent in usage)
    shown = usage[:SHOWN_AGENTS]
    ids = [agent.agent_id for agent in shown]
    organization = view.request.organization
    names: dict[UUID, Agent] = Agent.objects.for_organization(organization).in_bulk(ids)
    newest = last_used_by_agent(organization, ids)
    return [
        {
            "agent": names[agent.agent_id],
            "tokens": agent.count,
            "share": 100 * agent.count / tokens,
            "last_at": newest.get(agent.agent_id),
        }
        for agent in shown
        if agent.agent_id in names
    ]
