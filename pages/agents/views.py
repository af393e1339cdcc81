"""The list of agents, and the page of one."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents.models import Agent, AgentQuerySet
from analytics.agent_usage import agent_usage, newest_requests
from analytics.periods import Period
from analytics.queries import count_by_agent, with_last_use
from analytics.records import findings_of_agent
from core.keyset import Keyset, ListKeyset, Term, moment_now
from executions import queries
from organizations.actors import Scope
from organizations.models import AuditEvent
from pages.agents.changes import decommissioning_of, own_agent, suspension_of
from pages.agents.credential_cards import cards_of
from pages.agents.figures import Strip, figures
from pages.agents.identity import access_of, kind_of, last_token
from pages.agents.runs import runs_of
from pages.agents.verdict import told_elsewhere, verdict_of
from pages.audit.sentences import CHANGES, Sentence, sentences_of
from pages.charts import shown_finding
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Choices, Filter, ListFilters, moment_of, page_of, search_hidden, sort_of
from tokens.models import ResourceGrant, TokenEvent

SORTS = {
    "name": "email",
    "owner": "owner",
    "used": "last_used_at",
    "registered": "created_at",
}
RESOURCES_SHOWN = 20
CHANGES_SHOWN = 6


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
    """List the organization's agents with this month's tokens and their last use."""
    everyone = Agent.objects.for_organization(request.organization)
    owners = everyone.order_by("owner").values_list("owner", flat=True).distinct()[:100]
    filters = filters_of(request, list(owners))
    search = request.GET.get("q", "").strip()[:128]
    sort = sort_of(request, (*SORTS, "tokens"), "name")
    month = Period.of_month(tz=request.zone)
    rows = narrow(everyone, filters, search)
    if sort.removeprefix("-") == "tokens":
        moment = moment_of(request) or moment_now()
        usage = tokens_at(request, month, moment)
        page = page_of(request, ranked(rows, usage), keyset=by_tokens(sort), moment=moment)
        ids = [agent.pk for agent in page.object_list]
    else:
        page = page_of(request, with_last_use(rows), keyset=keyset_of(sort))
        ids = [agent.pk for agent in page.object_list]
        usage = tokens_of(request, month, ids)
    context = {
        "page": page,
        "rows": rows_of(everyone, ids, usage),
        "filters": filters,
        "search": search,
        "search_hidden": search_hidden(request),
        "sort": sort,
        "month": month.first,
        "zone": request.zone,
        "may_write": request.actor.may(Scope.AGENTS_WRITE),
    }
    return render(request, "agents/list.html", context)


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


def rows_of(
    everyone: AgentQuerySet, ids: list[UUID], usage: dict[UUID, int]
) -> list[dict[str, Any]]:
    found = with_last_use(everyone).in_bulk(ids)
    return [
        {"agent": found[pk], "tokens": usage.get(pk, 0), "last_used_at": found[pk].last_used_at}
        for pk in ids
        if pk in found
    ]


def tokens_of(
    request: OrganizationRequest, month: Period, among: Collection[UUID] | None = None
) -> dict[UUID, int]:
    counts = count_by_agent(request.organization, month, among=among)
    return {row.agent_id: row.count for row in counts}


def resources_of(agent: Agent) -> QuerySet[ResourceGrant]:
    """The other APIs that the agent may get tokens for."""
    grants = ResourceGrant.objects.for_organization(agent.organization).filter(agent=agent)
    return grants.select_related("resource").order_by("resource__name")[:RESOURCES_SHOWN]


def changes_of(agent: Agent, now: datetime) -> list[Sentence]:
    events = AuditEvent.objects.for_organization(agent.organization)
    changes = events.filter(agent_id=agent.pk, action__in=CHANGES)
    return sentences_of(changes[:CHANGES_SHOWN], now)


@require_safe
@within_organization("agents:read")
def agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Show how an agent does, which secret carries its traffic, and what may be done."""
    found, now = own_agent(request, agent_id), timezone.now()
    found.organization = request.organization
    actor, strip = request.actor, Strip(now.date())
    may_write = actor.may(Scope.AGENTS_WRITE)
    usage, newest = agent_usage(found, strip.before), newest_requests(found, now)
    cards = cards_of(found, usage, strip, now)
    findings = findings_of_agent(found, now)
    verdict = verdict_of(found, cards, newest, findings, now, may_write=may_write)
    runs = None
    if actor.may(Scope.EXECUTIONS_READ):
        runs = queries.agent_days(found, actor, strip.before)
    flagged = [
        day for finding in findings if finding.code == "token_spike" for day in finding.dates
    ]
    last = last_token([card.last_at for card in (*cards.live, *cards.ended)], now)
    context = {
        "agent": found,
        "context_line": f"{kind_of(found)} · {last}",
        "verdict": verdict,
        "findings": [shown_finding(each) for each in told_elsewhere(findings, verdict)],
        "figures": figures(found, strip, usage.days, runs, flagged),
        "strip": strip.context(found),
        "cards": cards,
        "has_used": any(card.last_at for card in (*cards.live, *cards.ended)),
        "access": access_of(found, newest, now),
        "grants": resources_of(found),
        "may_audit": actor.may(Scope.AUDIT_READ),
        "changes": changes_of(found, now) if actor.may(Scope.AUDIT_READ) else [],
        "may_write": may_write,
        "may_see_runs": runs is not None,
        "suspension": suspension_of(found),
        "decommissioning": decommissioning_of(found),
        "zone": request.zone,
        "requests_link": f"{reverse('tokens:list')}?agent={found.pk}",
        "audit_link": f"{reverse('organizations:audit')}?agent={found.pk}",
        "command": (
            f"curl -s -w '\\n' -u '{found.pk}:'$CLIENT_SECRET -d grant_type=client_credentials "
            f"{settings.ISSUER}/api/v1/token"
        ),
    }
    if runs is not None:
        context |= runs_of(found, actor, runs, strip, now)
    return render(request, "agents/detail.html", context)
