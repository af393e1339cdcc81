"""Token requests as rows, behind every number of the overview."""

from contextlib import suppress
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import ExtractHour, ExtractWeekDay
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents.models import Agent
from core.days import DAY, WEEKDAYS, day_end, day_start
from organizations.models import OrganizationScopedQuerySet
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Filter, ListFilters, page_of
from tokens.models import Credential, TokenEvent

KNOWN_AGENTS = 100
REQUESTS = "requests"
ANSWERED = (TokenEvent.Outcome.ISSUED, TokenEvent.Outcome.REFUSED)

FILTERS = (
    Filter("date", "day", kind="date"),
    Filter("days", "time", kind="number", maximum=90, is_in_menu=False, verb="in"),
    Filter("dow", "weekday", tuple((str(i), name) for i, name in enumerate(WEEKDAYS))),
    Filter("hour", "hour", tuple((str(hour), f"{hour:02d}:00") for hour in range(24))),
    Filter(
        "outcome",
        "outcome",
        (
            (REQUESTS, "issued or refused"),
            *((str(value), label.lower()) for value, label in TokenEvent.Outcome.choices),
        ),
    ),
    Filter(
        "reason",
        "reason",
        tuple((str(value), label.lower()) for value, label in TokenEvent.Reason.choices),
    ),
    Filter("credential", "credential", kind="id", is_in_menu=False),
    Filter("resource", "resource", kind="text", is_in_menu=False),
)


@require_safe
@within_organization("agents:read")
def token_requests(request: OrganizationRequest) -> HttpResponse:
    """List the matching requests, newest first."""
    filters = ListFilters.of(request, *FILTERS, agents_of(request))
    rows = narrow(request, filters)
    # People compare a day's count with the chart, so it must be exact; it is an index range scan.
    page = page_of(request, rows, is_counted=bool(filters.get("date")))
    context = {"filters": filters, "page": page, "zone": request.zone}
    return render(request, "requests/list.html", context)


def agents_of(request: OrganizationRequest) -> Filter:
    """The filter by agent, which suggests agents but accepts any other's name or id as well."""
    agents = Agent.objects.for_organization(request.organization).order_by("email")
    known = tuple((agent.email, agent.name) for agent in agents.only("email")[:KNOWN_AGENTS])
    return Filter("agent", "agent", known, kind="text")


def narrow(request: OrganizationRequest, filters: ListFilters) -> Any:
    rows = TokenEvent.objects.for_organization(request.organization)
    if filters.get("agent"):
        rows = of_agent(request, rows, filters)
    if filters.get("credential"):
        rows = of_credential(request, rows, filters)
    if filters.get("resource"):
        rows = rows.filter(resource=filters.get("resource"))
    if filters.get("outcome"):
        outcome = filters.get("outcome")
        rows = rows.filter(outcome__in=ANSWERED if outcome == REQUESTS else [outcome])
    if filters.get("reason"):
        rows = rows.filter(reason=filters.get("reason"))
    rows = within_time(rows, filters)
    return rows.select_related("agent", "credential")


def of_agent(
    request: OrganizationRequest, rows: OrganizationScopedQuerySet, filters: ListFilters
) -> OrganizationScopedQuerySet:
    """The agent's rows; it may be given by id, address or short name."""
    text = filters.get("agent")
    named = Q(email__iexact=text) | Q(email__istartswith=f"{text}@")
    with suppress(ValueError):
        named = Q(pk=UUID(text))
    agent = Agent.objects.for_organization(request.organization).filter(named).first()
    if agent is None:
        return rows.none()
    filters.words["agent"] = agent.name
    return rows.filter(agent=agent)


def of_credential(
    request: OrganizationRequest, rows: OrganizationScopedQuerySet, filters: ListFilters
) -> OrganizationScopedQuerySet:
    credentials = Credential.objects.for_organization(request.organization)
    credential = credentials.filter(pk=filters.get("credential")).first()
    if credential is None:
        return rows.none()
    filters.words["credential"] = credential.label
    return rows.filter(credential=credential)


def within_time(
    rows: OrganizationScopedQuerySet, filters: ListFilters
) -> OrganizationScopedQuerySet:
    """The rows within the given days, weekdays and hours of the page's zone."""
    zone = timezone.get_current_timezone()
    if filters.get("date"):
        day = date.fromisoformat(filters.get("date"))
        filters.words["date"] = f"{day.day} {day:%b %Y}"
        rows = rows.filter(created_at__gte=day_start(day, zone), created_at__lt=day_end(day, zone))
    elif filters.get("days"):
        days = max(1, int(filters.get("days")))
        filters.words["days"] = f"the last {days} days" if days > 1 else "today"
        first = timezone.localdate() - (days - 1) * DAY
        rows = rows.filter(created_at__gte=day_start(first, zone))
    if filters.get("dow"):
        rows = rows.annotate(dow=ExtractWeekDay("created_at"))
        rows = rows.filter(dow=int(filters.get("dow")) + 1)
    if filters.get("hour"):
        rows = rows.annotate(hour=ExtractHour("created_at")).filter(hour=int(filters.get("hour")))
    return rows
