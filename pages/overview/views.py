"""The overview: recent activity, running executions and findings, with links to the rows behind."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.models import Agent
from analytics.findings.finding import Finding
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
from core.time_zones import known_time_zones
from organizations.actors import Scope
from organizations.models import Organization
from pages.agents.snippets import Access, curl
from pages.charts import day_notes, shown_finding
from pages.decorators import OrganizationRequest, within_organization, zones_without_url
from pages.figures import figures
from pages.findings.links import snoozed_link
from pages.lists import NOT_COMPARED, Filter, ListFilters
from pages.overview.facts import agent_facts, run_facts
from pages.overview.figures import (
    OUTCOMES,
    RANGES,
    View,
    activity,
    known_since,
    total,
    trend,
    usage_of,
)
from pages.overview.month import agents_of, month_summary
from pages.overview.runs import runs_of, waiting_url
from tokens.models import Credential, TokenEvent

MAX_FIRST_TOKENS = 20
"""Few enough that the first of them may be from the last hour."""
SHOWN_FINDINGS, SHOWN_FINDINGS_AT_MOST = 5, 50
EVERY, EVERY_WHILE_QUIET = 30, 5
"""Seconds until the page refreshes itself."""


@require_safe
@within_organization()
def overview(request: OrganizationRequest) -> HttpResponse:
    """Show figures, facts, findings, what waits for a person, activity and the month's agents."""
    view = View.of(request)
    organization, now = request.organization, view.period.now
    issued = count_by_day(organization, view.with_before, METRICS["issued"])
    refused = count_by_day(organization, view.with_before, METRICS["refused"])
    days = usage_of(issued, refused)
    month = Period.of_month(tz=request.zone)
    usage = count_by_agent(organization, month)
    work = at_work(organization, usage)
    worst = worst_findings(organization, now, SHOWN_FINDINGS_AT_MOST)
    findings = worst.found
    runs = runs_of(view)
    is_quiet = not days and not usage
    since = known_since(organization, request.zone, days, runs.days if runs else {})
    five = figures(
        view.strip,
        days,
        runs.days if runs else None,
        view.links,
        # What began today has nothing before it.
        since=since if view.is_compared else view.period.last,
        flagged=day_notes(findings),
    )
    facts = run_facts(view, runs.recent) if runs else []
    if not is_quiet:
        facts += agent_facts(organization, work, now)
    compared = view.strip.comparison(since) if view.is_compared else ""
    context = {
        "steps": steps_of(organization) if is_quiet else None,
        "first_token": first_token(organization, view, total(issued)),
        "figures": five[2:] if is_quiet else five,
        "facts": facts,
        "runs": runs,
        "waiting_url": waiting_url(view),
        **findings_shown(findings, worst.number),
        "snoozed": snoozed_link(worst.snoozed),
        "chart": trend(view, issued, refused, findings, since=since),
        "heatmap": activity(view),
        "agents": agents_of(organization, usage, findings),
        "days": view.days,
        "comparisons": comparisons(request, view) if view.strip.is_comparable(since) else [],
        "ranges": [(days, range_url(request, days)) for days in RANGES],
        "filters": filters_of(request),
        "zone": request.zone,
        "may_write": request.actor.may(Scope.AGENTS_WRITE),
        "is_quiet": is_quiet,
        "every": EVERY_WHILE_QUIET if is_quiet else EVERY,
        "context_line": f"Last {view.days} days, {request.zone}{compared} · "
        f"as of {as_of(view.period)}",
        "range_label": f"{view.days} days",
        "month_summary": month_summary(month, work),
        "query": f"?{request.GET.urlencode()}" if request.GET else "",
    }
    return render(request, "overview/overview.html", context)


def findings_shown(findings: Sequence[Finding], number: int) -> dict[str, Any]:
    """The worst ones, the others behind one line; `number` is that of all."""
    shown = [shown_finding(finding) for finding in findings[:SHOWN_FINDINGS_AT_MOST]]
    return {
        "findings": shown[:SHOWN_FINDINGS],
        "more_findings": shown[SHOWN_FINDINGS:],
        "findings_number": number,
        "more_count": number - SHOWN_FINDINGS,
        "hidden_findings": number - len(shown),
    }


def steps_of(organization: Organization) -> dict[str, Any]:
    """The steps towards the first token, and which are done."""
    agents = Agent.objects.for_organization(organization).counted()
    credentials = Credential.objects.for_organization(organization)
    newest = credentials.select_related("agent").order_by("-created_at").first()
    return {
        "agents": agents.count(),
        "agent": newest.agent if newest else agents.order_by("-created_at").first(),
        "credentials": credentials.count(),
        "command": curl(Access.of(newest.agent)) if newest else "",
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
    zones = dict.fromkeys(["UTC", *zones_without_url(request), request.zone.key])
    known = [zone for zone in zones if zone in known_time_zones()]
    return ListFilters.of(
        request,
        Filter("outcome", "outcome", OUTCOMES),
        Filter("tz", "time zone", tuple((zone, zone) for zone in known)),
    )


def comparisons(request: OrganizationRequest, view: View) -> list[dict[str, Any]]:
    """What the numbers can be compared with."""
    on, off = request.GET.copy(), request.GET.copy()
    on.pop("compare", None)
    off["compare"] = NOT_COMPARED
    return [
        {
            "label": label,
            "url": f"{request.path}?{query.urlencode()}",
            "current": view.is_compared is is_on,
        }
        for label, query, is_on in (
            (view.strip.words_before, on, True),
            ("Nothing", off, False),
        )
    ]


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
