"""The list of agents."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.models import Agent, AgentQuerySet
from analytics.agent_usage import issued_by_day
from analytics.findings.finding import Finding
from analytics.findings.snoozes import apart
from analytics.periods import Period
from analytics.queries import count_by_agent, with_last_use
from analytics.records import findings_among, worst_findings
from core.days import DAY
from core.keyset import Keyset, ListKeyset, Term, moment_now
from executions.queries import RunDay, agent_totals
from organizations.actors import Scope
from pages.agents.api_call import call_of
from pages.agents.credential_usage import DAYS
from pages.agents.trouble import AGENTS_IN_FRONT, Front, by_agent, sparks_of, troubles_of
from pages.agents.trouble import keyset_of as trouble_keyset
from pages.decorators import OrganizationRequest, within_organization
from pages.findings.links import snoozed_link
from pages.lists import (
    Choices,
    Filter,
    ListFilters,
    ListPage,
    moment_of,
    page_of,
    pinned_of,
    search_hidden,
    sort_of,
)
from tokens.models import TokenEvent

TROUBLE = "trouble"
SORTS = {
    "name": "email",
    "owner": "owner",
    "used": "last_used_at",
    "registered": "created_at",
}


def lower(choices: Choices) -> Choices:
    """The choices with labels in lower case, for use inside a sentence."""
    return [(value, label.lower()) for value, label in choices]


def filters_of(request: OrganizationRequest, owners: list[str]) -> ListFilters:
    return ListFilters.of(
        request,
        Filter("type", "type", lower(Agent.Type.choices)),
        Filter("status", "status", lower(Agent.Status.choices)),
        Filter("environment", "environment", lower(Agent.Environment.choices)),
        Filter("owner", "owner", tuple((owner, owner) for owner in owners), kind="text"),
    )


@require_safe
@within_organization("agents:read")
def agents(request: OrganizationRequest) -> HttpResponse:
    """List the organization's agents, those with findings first, and what each did of late."""
    everyone = Agent.objects.for_organization(request.organization)
    owners = everyone.order_by("owner").values_list("owner", flat=True).distinct()[:100]
    filters = filters_of(request, list(owners))
    search = request.GET.get("q", "").strip()[:128]
    sort = sort_of(request, (TROUBLE, *SORTS, "tokens"), TROUBLE)
    found = agents_found(request, narrow(everyone, filters, search), sort)
    days = last_days(found.month.now)
    runs = runs_of(request, found.ids, days)
    context = {
        "page": found.page,
        "rows": rows_of(request, everyone, found, days, runs or {}),
        "is_cut": found.is_cut,
        "filters": filters,
        "search": search,
        "search_hidden": search_hidden(request),
        "sort": sort,
        "api_calls": [call_of(everyone, filters, search, sort, found.page)],
        "month": found.month.first,
        "days": DAYS,
        "zone": request.zone,
        "may_see_runs": runs is not None,
        "may_write": request.actor.may(Scope.AGENTS_WRITE),
    }
    return render(request, "agents/list.html", context)


@dataclass(frozen=True)
class Found:
    """A page of agents, and what its order needed to know."""

    page: ListPage
    month: Period
    usage: dict[UUID, int] | None = None
    """The month's tokens by agent."""
    findings: tuple[Finding, ...] | None = None
    """About all agents, the snoozed ones included."""
    is_cut: bool = False
    """Whether agents with findings stand behind agents without."""

    @property
    def ids(self) -> list[UUID]:
        return [each.pk for each in self.page.object_list]


def agents_found(request: OrganizationRequest, rows: AgentQuerySet, sort: str) -> Found:
    month = Period.of_month(tz=request.zone)
    name = sort.removeprefix("-")
    if name == TROUBLE:
        return by_trouble(request, with_last_use(rows), sort, month)
    if name == "tokens":
        moment = moment_of(request) or moment_now()
        usage = tokens_at(request, month, moment)
        page = page_of(request, ranked(rows, usage), keyset=by_tokens(sort), moment=moment)
        return Found(page, month, usage=usage)
    return Found(page_of(request, with_last_use(rows), keyset=keyset_of(sort)), month)


def by_trouble(
    request: OrganizationRequest, rows: AgentQuerySet, sort: str, month: Period
) -> Found:
    """Those with findings first, as the first page found them."""
    pinned, findings = pinned_of(request), None
    if pinned is None:
        worst = worst_findings(request.organization, month.now, AGENTS_IN_FRONT)
        front = Front.of(worst.found, worst.number)
        if worst.number == len(worst.found):
            findings = worst.found + worst.snoozed
    else:
        front = Front.pinned(pinned)
    keyset = trouble_keyset(sort)
    page = page_of(request, front.ranked(rows), keyset=keyset, pinned=front.text)
    return Found(page, month, findings=findings, is_cut=not front.is_all)


def narrow(rows: AgentQuerySet, filters: ListFilters, search: str) -> AgentQuerySet:
    columns = {"type": "agent_type", "status": "status", "environment": "deployment_env"}
    chosen = {column: filters.get(name) for name, column in columns.items() if filters.get(name)}
    if filters.get("owner"):
        chosen["owner__iexact"] = filters.get("owner")
    rows = rows.filter(**chosen)
    return rows.search(search) if search else rows


class Ranked(NamedTuple):
    """An agent with its sort value in the order of tokens."""

    tokens: int
    email: str
    pk: UUID


def ranked(rows: AgentQuerySet, usage: dict[UUID, int]) -> list[Ranked]:
    found = rows.order_by().values_list("pk", "email")
    return [Ranked(usage.get(pk, 0), email, pk) for pk, email in found]


def by_tokens(sort: str) -> ListKeyset:
    """The order by tokens; ties are ordered by address."""
    by = Term("tokens", is_descending=sort.startswith("-"))
    return ListKeyset((by, Term("email"), Term("pk")))


def tokens_at(request: OrganizationRequest, month: Period, moment: float) -> dict[UUID, int]:
    """The month's tokens up to the time, in Unix seconds, at which the first page was read.

    The order of the following pages is therefore stable while agents get more tokens.
    """
    later = (
        TokenEvent.objects.for_organization(request.organization)
        .filter(
            outcome=TokenEvent.Outcome.ISSUED,
            created_at__gt=max(datetime.fromtimestamp(moment, UTC), month.start),
        )
        .order_by()
        .values_list("agent_id")
        .annotate(count=Count("pk"))
    )
    since = dict(later)
    usage = tokens_of(request, month)
    return {agent: count - since.get(agent, 0) for agent, count in usage.items()}


def keyset_of(sort: str) -> Keyset:
    """The order of the list; ties are ordered by address, and agents never used come last either
    way.
    """
    name = SORTS[sort.removeprefix("-")]
    by = Term(name, is_descending=sort.startswith("-"), is_nullable=name == "last_used_at")
    return Keyset((by, Term("email"), Term("pk")))


def last_days(now: datetime) -> list[date]:
    """The days (UTC) of the bars, runs and cost; today is the last."""
    today = now.astimezone(UTC).date()
    return [today - back * DAY for back in reversed(range(DAYS))]


def runs_of(
    request: OrganizationRequest, ids: list[UUID], days: list[date]
) -> dict[UUID, RunDay] | None:
    """None for a person who may not see all of them, which are what the columns count."""
    if not request.actor.may(Scope.EXECUTIONS_READ):
        return None
    return agent_totals(request.organization, request.actor, ids, days)


def rows_of(
    request: OrganizationRequest,
    everyone: AgentQuerySet,
    found: Found,
    days: list[date],
    runs: dict[UUID, RunDay],
) -> list[dict[str, Any]]:
    """The rows of the page, with as many statements for all of them as for one."""
    ids = found.ids
    agents = with_last_use(everyone).in_bulk(ids)
    findings = found.findings
    if findings is None:
        findings = findings_among(request.organization, ids, found.month.now)
    usage = tokens_of(request, found.month, ids) if found.usage is None else found.usage
    shown, hidden = apart(findings)
    troubles = troubles_of(shown)
    snoozed = by_agent(hidden)
    sparks = sparks_of(days, issued_by_day(request.organization, ids, days), troubles)
    return [
        {
            "agent": agents[pk],
            "trouble": troubles.get(pk),
            "snoozed": snoozed_link(snoozed.get(pk, ()), pk),
            "tokens": usage.get(pk, 0),
            "spark": sparks.get(pk),
            "runs": runs.get(pk),
            "last_used_at": agents[pk].last_used_at,
        }
        for pk in ids
        if pk in agents
    ]


def tokens_of(
    request: OrganizationRequest, month: Period, among: Collection[UUID] | None = None
) -> dict[UUID, int]:
    counts = count_by_agent(request.organization, month, among=among)
    return {row.agent_id: row.count for row in counts}
