"""The page of an agent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents.models import Agent
from analytics.agent_usage import agent_usage, newest_requests
from analytics.findings.finding import Finding
from analytics.findings.snoozes import apart
from analytics.records import findings_of_agent
from executions import queries
from organizations.actors import Scope
from organizations.models import AuditEvent
from pages.agents.changes import decommissioning_of, own_agent, suspension_of
from pages.agents.credential_cards import Cards, cards_of
from pages.agents.credential_usage import DAYS
from pages.agents.figures import links_of, period_of
from pages.agents.identity import access_of, kind_of, last_token
from pages.agents.runs import runs_of
from pages.agents.verdict import Verdict, is_told, untold, verdict_of
from pages.audit.sentences import CHANGES, Sentence, sentences_of
from pages.charts import day_notes, shown_finding
from pages.decorators import OrganizationRequest, within_organization
from pages.figures import Strip, figures
from pages.findings.links import snooze_action, snoozed_link
from tokens.models import ResourceGrant

RESOURCES_SHOWN = 20
CHANGES_SHOWN = 6


def resources_of(agent: Agent) -> QuerySet[ResourceGrant]:
    """The other APIs that the agent may get tokens for."""
    grants = ResourceGrant.objects.for_organization(agent.organization).filter(agent=agent)
    return grants.select_related("resource").order_by("resource__name")[:RESOURCES_SHOWN]


def changes_of(agent: Agent, now: datetime) -> list[Sentence]:
    events = AuditEvent.objects.for_organization(agent.organization)
    changes = events.filter(agent_id=agent.pk, action__in=CHANGES)
    return sentences_of(changes[:CHANGES_SHOWN], now)


def findings_shown(findings: Sequence[Finding], *, may_write: bool) -> list[dict[str, Any]]:
    """Without the links that lead to this page."""
    return [
        shown_finding(each)
        | ({} if each.rows else {"url": ""})
        | ({"actions": [snooze_action(each)]} if may_write else {})
        for each in findings
    ]


def snoozes_on(
    cards: Cards, findings: Sequence[Finding], verdict: Verdict
) -> dict[UUID, dict[str, str]]:
    """How to snooze what the advice on a credential's card tells, and the verdict does not."""
    told = (each for each in findings if each != verdict.finding and is_told(each, cards))
    return {each.credential_id: snooze_action(each) for each in told if each.credential_id}


@require_safe
@within_organization("agents:read")
def agent(request: OrganizationRequest, agent_id: UUID) -> HttpResponse:
    """Show how an agent does, which secret carries its traffic, and what may be done."""
    found, now = own_agent(request, agent_id), timezone.now()
    found.organization = request.organization
    actor, strip = request.actor, Strip(now.date(), DAYS)
    may_write = actor.may(Scope.AGENTS_WRITE)
    usage, newest = agent_usage(found, strip.before), newest_requests(found, now)
    cards = cards_of(found, usage, strip, now)
    findings, snoozed = apart(findings_of_agent(found, now))
    verdict = verdict_of(found, cards, newest, findings, now, may_write=may_write)
    runs = None
    if actor.may(Scope.EXECUTIONS_READ):
        runs = queries.agent_days(found, actor, strip.before)
    last = last_token(cards.last_at, now)
    context = {
        "agent": found,
        "days": DAYS,
        "context_line": f"{kind_of(found)}\N{NO-BREAK SPACE}· {last}",
        "verdict": verdict,
        "findings": findings_shown(untold(findings, cards, verdict), may_write=may_write),
        "snoozed": snoozed_link(snoozed, found.pk),
        "snooze": snooze_action(verdict.finding) if may_write and verdict.finding else None,
        "figures": figures(
            strip,
            usage.days,
            runs,
            links_of(found, strip),
            since=found.created_at.date(),
            flagged=day_notes(findings),
        ),
        "strip": period_of(found, strip),
        "cards": cards.with_snoozes(snoozes_on(cards, findings, verdict)) if may_write else cards,
        "has_used": cards.last_at is not None,
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
