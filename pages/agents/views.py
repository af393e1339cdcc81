"""The list of agents, and an agent's page with identity, credentials, traffic and history."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents.models import Agent, AgentQuerySet
from analytics.findings.finding import Finding
from analytics.metrics import METRICS
from analytics.periods import Period
from analytics.queries import Narrowing, count_by_agent, count_by_day, with_last_use
from analytics.records import findings_of_agent
from core.keyset import Keyset, ListKeyset, Term, moment_now
from organizations.actors import Scope
from organizations.models import AuditEvent
from pages.agents.changes import (
    decommissioning_of,
    own_agent,
    reactivation_of,
    suspension_of,
)
from pages.agents.credential_usage import usage_of
from pages.agents.credentials import ending_of, revocation_of
from pages.agents.runs import runs_of
from pages.agents.secret_usage import SecretUsage, secrets_of, verdict
from pages.audit.views import with_names
from pages.charts import day_notes, shown_finding, trend_chart
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import Choices, Filter, ListFilters, moment_of, page_of, search_hidden, sort_of
from tokens.models import Credential, ResourceGrant, TokenEvent

SORTS = {
    "name": "email",
    "owner": "owner",
    "used": "last_used_at",
    "registered": "created_at",
}
RECENT = 10
RESOURCES_SHOWN = 20
TREND_DAYS = 30


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


def rows_of_secrets(agent: Agent, credentials: list[Credential]) -> list[dict[str, Any]]:
    """A row for each secret that is or was in use, with the confirmation before its end.

    During a rotation a credential's old secrets have rows below the current one, and the tokens of
    each are those since the rotation.
    """
    now = timezone.now()
    for credential in credentials:
        credential.agent = agent
    usage, rotating = usage_of(agent, credentials), secrets_of(agent, credentials, now)
    rows: list[dict[str, Any]] = []
    for credential in credentials:
        used = usage[credential.pk]
        whole = SecretUsage(credential.secret_hint, None, used.issued, credential.last_used_at)
        secrets = rotating.get(credential.pk)
        row = {"credential": credential, "secret": (secrets or [whole])[0]}
        row["is_rotating"] = bool(secrets)
        row["confirmation"] = revocation_of(credential, used)
        row["verdict"] = verdict(secrets, now) if secrets else ""
        rows.append(row)
        for number, secret in enumerate(secrets[1:] if secrets else ()):
            ending = None if number or not secrets else ending_of(credential, secrets)
            rows.append(
                {
                    "credential": credential,
                    "secret": secret,
                    "is_rotating": True,
                    "is_old": True,
                    "confirmation": ending,
                }
            )
    return rows


def trend(
    request: OrganizationRequest, agent: Agent, findings: Sequence[Finding]
) -> dict[str, Any]:
    """The chart of the agent's tokens per day."""
    period = Period.last_days(TREND_DAYS, request.zone)
    days = count_by_day(
        request.organization, period, METRICS["issued"], Narrowing(agent_id=agent.pk)
    )
    link = f"{reverse('tokens:list')}?agent={agent.pk}&outcome=issued&date="
    return trend_chart(
        days,
        name="tokens-of-agent",
        title="Tokens issued per day",
        unit="tokens",
        today=period.last,
        url=lambda day: f"{link}{day.isoformat()}",
        notes=day_notes(findings),
        since=agent.created_at.astimezone(period.tz).date(),
    )


@require_safe
@within_organization("agents:read")
def agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Show an agent with its credentials, trend, latest requests and history."""
    found = own_agent(request, agent_id)
    organization = request.organization
    credentials = Credential.objects.for_organization(organization).filter(agent=found)
    credentials = credentials.with_usability()
    requests = TokenEvent.objects.for_organization(organization).filter(agent=found)
    may_audit = request.actor.may(Scope.AUDIT_READ)
    findings = findings_of_agent(found)
    history = AuditEvent.objects.for_organization(organization).filter(agent_id=found.pk)
    context = {
        "agent": found,
        "suspension": suspension_of(found),
        "reactivation": reactivation_of(found),
        "decommissioning": decommissioning_of(found),
        "findings": [shown_finding(finding) for finding in findings],
        "chart": trend(request, found, findings),
        "secrets": rows_of_secrets(found, list(credentials)),
        "grants": ResourceGrant.objects.for_organization(organization)
        .filter(agent=found)
        .select_related("resource")
        .order_by("resource__name")[:RESOURCES_SHOWN],
        "requests": requests.select_related("credential")[:RECENT],
        "history": with_names(organization, history[:RECENT]) if may_audit else [],
        "may_audit": may_audit,
        "may_write": request.actor.may(Scope.AGENTS_WRITE),
        "zone": request.zone,
        "tokens_link": f"{reverse('tokens:list')}?agent={found.pk}",
        "audit_link": f"{reverse('organizations:audit')}?agent={found.pk}",
        "command": (
            f"curl -s -w '\\n' -u '{found.pk}:'$CLIENT_SECRET -d grant_type=client_credentials "
            f"{settings.ISSUER}/api/v1/token"
        ),
    }
    context["may_see_runs"] = request.actor.may(Scope.EXECUTIONS_READ)
    if context["may_see_runs"]:
        context |= runs_of(found, request.actor)
    return render(request, "agents/detail.html", context)
