"""What an agent is and may do, in sentences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.models import Agent
from analytics.agent_usage import NEWEST_DAYS, NewestRequests
from core.days import DAY
from core.formatting import absolute_time, time_phrase
from organizations.actors import Scope
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent

CHANGES_READ = 50
"""So many changes of an agent's scopes are looked at."""
MAY = {
    Scope.AGENTS_READ: "Can read agents and their credentials.",
    Scope.AGENTS_WRITE: "Can register and change agents and their credentials.",
    Scope.TOKENS_READ: "Can introspect and revoke tokens.",
    Scope.AUDIT_READ: "Can read and verify the audit log.",
    Scope.ADMIN_ORGS: "Can administer the organization and its members.",
    Scope.WEBHOOKS_READ: "Can read webhooks.",
    Scope.WEBHOOKS_WRITE: "Can register and change webhooks.",
    Scope.EXECUTIONS_READ: "Can read runs.",
    Scope.EXECUTIONS_WRITE: "Can report and control runs.",
    Scope.FLOWS_RUN: "Can launch flows.",
}


@dataclass(frozen=True)
class Access:
    """A scope of the agent and its use."""

    scope: str
    sentence: str
    last_at: datetime | None
    """When it was last in a token."""
    unused: str
    """Why it may be superfluous; empty if it is used or if too little is known."""


def access_of(agent: Agent, newest: NewestRequests, now: datetime) -> list[Access]:
    """Each scope in the agent's order. Of an agent that got no token at all nothing is said."""
    idle = set(agent.scopes) - newest.granted.keys() if newest.granted else set()
    added = added_at(agent, now) if idle else {}
    return [
        Access(
            scope,
            MAY.get(Scope(scope), scope) if scope in Scope.values else scope,
            newest.granted.get(scope),
            unused(newest.since, added.get(scope), agent, now) if scope in idle else "",
        )
        for scope in agent.scopes
    ]


def unused(
    known_since: datetime | None, added: datetime | None, agent: Agent, now: datetime
) -> str:
    """Why a scope without a token may be superfluous; empty until a day has shown it."""
    since = max(known_since or agent.created_at, added or agent.created_at)
    if now - since < DAY:
        return ""
    if (now - since).days >= NEWEST_DAYS:
        return f"not requested in {NEWEST_DAYS} days"
    if added == since:
        return f"not requested since it was added {time_phrase(since, now)}"
    if known_since is None:
        return "never requested"
    return f"not requested since {absolute_time(since, now)}"


def added_at(agent: Agent, now: datetime) -> dict[str, datetime]:
    """When each scope was last added to the agent, as far as that was in the last NEWEST_DAYS."""
    changes = AuditEvent.objects.for_organization(agent.organization).filter(
        agent_id=agent.pk,
        action=AuditAction.AGENT_UPDATED,
        occurred_at__gte=now - NEWEST_DAYS * DAY,
        metadata__after__has_key="scopes",
    )
    found: dict[str, datetime] = {}
    for occurred_at, metadata in changes.values_list("occurred_at", "metadata")[:CHANGES_READ]:
        for scope in scopes_in(metadata, "after") - scopes_in(metadata, "before"):
            found.setdefault(scope, occurred_at)
    return found


def scopes_in(metadata: dict[str, Any], part: str) -> set[str]:
    """The scopes before or after a change. Of values that are too long, the log has only the
    beginning.
    """
    values = metadata.get(part)
    scopes = values.get("scopes") if isinstance(values, dict) else None
    return set(scopes) if isinstance(scopes, list) else set()


def kind_of(agent: Agent) -> str:
    """The line under its name."""
    return " · ".join(
        [
            agent.get_agent_type_display(),
            agent.owner,
            agent.get_deployment_env_display().lower(),
            agent.email,
        ]
    )


def last_token(at: datetime | None, now: datetime) -> str:
    """Its time stays on one line."""
    if at is None:
        return "no token yet"
    return f"last token {absolute_time(at, now)}".replace(" ", "\N{NO-BREAK SPACE}")
