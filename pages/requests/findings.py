"""The finding from which a person came to the page of requests, and what may be done about it."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from analytics.findings.finding import Finding
from analytics.records import findings_of, findings_of_agent
from organizations.actors import Scope
from pages.agents.credentials import own_credential
from pages.charts import severity_shown
from pages.findings.links import may_snooze, snooze_action, snooze_words
from pages.requests.page_query import RequestQuery
from tokens.models import Credential


def finding_of(query: RequestQuery) -> dict[str, Any] | None:
    """The finding that `finding` in the URL names, for components/finding.html, or None if it has
    passed meanwhile.

    It stays while filters are removed: it is about the agent and the day of the link.
    """
    code = query.values.get("finding")
    if code is None:
        return None
    organization = query.request.organization
    agents = Agent.objects.for_organization(organization)
    agent = agents.filter(pk=query.filters.agent_id).first() if query.filters.agent_id else None
    found = findings_of(organization) if agent is None else findings_of_agent(agent)
    for finding in found:
        if finding.code == code and finding.rows and _is_about(finding, query):
            return {
                "severity": severity_shown(finding),
                "subject": finding.subject,
                "text": finding.text,
                "detail": snooze_words(finding, timezone.now()) or finding.detail,
                "actions": actions(query, finding, agent),
            }
    return None


def _is_about(finding: Finding, query: RequestQuery) -> bool:
    """Whether the URL still names the finding's day, where it is about one, or any part of it."""
    day = finding.rows.get("date")
    return day is None or "date" not in query.values or query.values["date"] == str(day)


def actions(query: RequestQuery, finding: Finding, agent: Agent | None) -> list[dict[str, str]]:
    """Links to the pages that ask before they act; only those for which the viewer has the right
    and that would still change something.
    """
    actor = query.request.actor
    snoozing = [snooze_action(finding)] if may_snooze(actor) else []
    if agent is None or agent.is_decommissioned:
        return snoozing
    found: list[dict[str, str]] = []
    may_write = actor.may(Scope.AGENTS_WRITE)
    if may_write and finding.credential_id:
        credential = own_credential(query.request, agent.pk, finding.credential_id)
        found += secret_actions(credential, finding.secret_hint)
    if may_write and agent.is_active:
        address = reverse("agents:suspend", args=[agent.pk])
        found.append({"label": f"Suspend {agent.name}", "url": address})
    found += snoozing
    address = reverse("agents:detail", args=[agent.pk])
    found.append({"label": f"Open {agent.name}", "url": address})
    return found


def secret_actions(credential: Credential, hint: str) -> list[dict[str, str]]:
    """Rotating and revoking the credential; if the secret was rotated out since, ending it."""
    if not credential.is_usable():
        return []
    args = [credential.agent_id, credential.pk]
    if hint and hint != credential.secret_hint:
        if any(old.hint == hint for old in credential.present_old_secrets):
            address = reverse("tokens:end_old_secrets", args=args)
            return [{"label": f"End …{hint}", "url": address}]
        return []
    return [
        {"label": f"{verb} …{credential.secret_hint}", "url": reverse(f"tokens:{name}", args=args)}
        for verb, name in (("Rotate", "rotate_credential"), ("Revoke", "revoke_credential"))
    ]
