"""The overview: recent activity, running executions and findings, with links to the rows behind."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.models import Agent
from analytics.metrics import METRICS
from analytics.periods import Period
from analytics.queries import (
    at_work,
    count_by_agent,
    count_by_day,
    count_by_hour_of_week,
)
from analytics.records import findings_of, worst_findings
from analytics.serializers import (
    ACTIVITY_COLUMNS,
    FINDING_COLUMNS,
    PAGE_USAGE_COLUMNS,
    TREND_COLUMNS,
    finding_row,
)
from core.csv_files import csv_text, for_spreadsheets
from core.days import DAY
from organizations.actors import Scope
from organizations.models import Organization
from pages.charts import shown_finding
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Filter, ListFilters
from pages.overview.figures import (
    OUTCOMES,
    RANGES,
    View,
    activity,
    agents_of,
    execution_figures,
    figures,
    month_summary,
    total,
    trend,
)
from tokens.models import Credential, TokenEvent

MAX_FIRST_TOKENS = 20
"""Few enough that the first of them may be from the last hour."""
SHOWN_FINDINGS, SHOWN_FINDINGS_AT_MOST = 3, 50


@require_safe
@within_organization()
def overview(request: OrganizationRequest) -> HttpResponse:
    """Show figures, findings, trend, activity and the month's agents."""
    view = View.of(request)
    organization = request.organization
    both = Period.of_days(
        view.period.first - view.days * DAY,
        view.period.last,
        view.period.tz,
        view.period.now,
        "day",
    )
    issued = count_by_day(organization, both, METRICS["issued"])
    refused = count_by_day(organization, both, METRICS["refused"])
    month = Period.of_month(tz=request.zone)
    usage = count_by_agent(organization, month)
    work = at_work(organization, usage)
    findings, number = worst_findings(organization, view.period.now, SHOWN_FINDINGS_AT_MOST)
    shown = [shown_finding(finding) for finding in findings[:SHOWN_FINDINGS_AT_MOST]]
    runs = execution_figures(view)
    is_quiet = not any(day.count for day in (*issued, *refused)) and not usage
    context = {
        "steps": steps_of(organization) if is_quiet else None,
        "first_token": first_token(organization, view, total(issued)),
        "figures": [*figures(view, issued, refused, work), *runs],
        "execution_figures": runs,
        "findings": shown[:SHOWN_FINDINGS],
        "more_findings": shown[SHOWN_FINDINGS:],
        "more_count": number - SHOWN_FINDINGS,
        "hidden_findings": number - len(shown),
        "chart": trend(view, issued[view.days :], refused[view.days :], findings),
        "heatmap": activity(view),
        "agents": agents_of(view, usage),
        "days": view.days,
        "ranges": [(days, range_url(request, days)) for days in RANGES],
        "filters": filters_of(request),
        "zone": request.zone,
        "may_write": request.actor.may(Scope.AGENTS_WRITE),
        "is_quiet": is_quiet,
        "command": 'curl -s -w "\\n" -u "$CLIENT_ID:$CLIENT_SECRET" '
        f"-d grant_type=client_credentials {settings.ISSUER}/api/v1/token",
        "context_line": f"Last {view.days} days, {request.zone} · as of {as_of(view.period)}",
        "range_label": f"{view.days} days",
        "month_summary": month_summary(month, work),
        "query": f"?{request.GET.urlencode()}" if request.GET else "",
    }
    return render(request, "overview/overview.html", context)


def steps_of(organization: Organization) -> dict[str, Any]:
    """The steps towards the first token, and which are done."""
    agents = Agent.objects.for_organization(organization).counted()
    return {
        "agents": agents.count(),
        "agent": agents.order_by("-created_at").first(),
        "credentials": Credential.objects.for_organization(organization).count(),
    }


def first_token(organization: Organization, view: View, issued: int) -> TokenEvent | None:
    """The organization's first token, for an hour after it was issued."""
    if not 0 < issued <= MAX_FIRST_TOKENS:
        return None
    events = TokenEvent.objects.for_organization(organization)
    first = events.filter(outcome=TokenEvent.Outcome.ISSUED).select_related("agent")
    found = first.order_by("created_at").first()
    is_news = found is not None and view.period.now - found.created_at < timedelta(hours=1)
    return found if is_news else None


def as_of(period: Period) -> str:
    return period.now.astimezone(period.tz).strftime("%H:%M:%S")


def filters_of(request: OrganizationRequest) -> ListFilters:
    zones = dict.fromkeys(["UTC", request.organization.time_zone, request.zone.key])
    return ListFilters.of(
        request,
        Filter("outcome", "outcome", OUTCOMES),
        Filter("tz", "time zone", tuple((zone, zone) for zone in zones)),
    )


def range_url(request: OrganizationRequest, days: int) -> str:
    query = request.GET.copy()
    query["days"] = str(days)
    return f"{request.path}?{query.urlencode()}"


@require_safe
@within_organization()
def csv_file(request: OrganizationRequest, name: str) -> HttpResponse:
    """Export the numbers of one part of the overview as CSV, with the same filters."""
    view = View.of(request)
    organization = request.organization
    if name == "tokens":
        days = count_by_day(organization, view.period, view.trend_metric)
        text = csv_text(TREND_COLUMNS, [(day.date, day.count) for day in days])
    elif name == "activity":
        hours = count_by_hour_of_week(organization, view.period, view.activity_metric)
        rows = [(hour.dow, hour.hour, hour.count) for hour in hours]
        text = csv_text(ACTIVITY_COLUMNS, rows)
    elif name == "agents":
        text = agents_csv(organization, Period.of_month(tz=request.zone))
    elif name == "findings":
        found = [finding_row(finding) for finding in findings_of(organization)]
        text = csv_text(FINDING_COLUMNS, ([row[it] for it in FINDING_COLUMNS] for row in found))
    else:
        raise Http404
    today = view.period.last
    return HttpResponse(
        for_spreadsheets([text]),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-{today}.csv"'},
    )


def agents_csv(organization: Organization, month: Period) -> str:
    usage = count_by_agent(organization, month)
    names = Agent.objects.for_organization(organization).in_bulk([row.agent_id for row in usage])
    return csv_text(
        PAGE_USAGE_COLUMNS,
        [
            (row.agent_id, names[row.agent_id].email, row.count, f"{month.first:%Y-%m}")
            for row in usage
        ],
    )
