"""What an agent is and may do, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.models import Agent
from analytics.agent_usage import NEWEST_DAYS, NewestRequests
from core.formatting import absolute_time
from organizations.actors import Scope

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
    return [
        Access(
            scope,
            MAY.get(Scope(scope), scope) if scope in Scope.values else scope,
            newest.granted.get(scope),
            unused(newest, now) if newest.granted and scope not in newest.granted else "",
        )
        for scope in agent.scopes
    ]


def unused(newest: NewestRequests, now: datetime) -> str:
    if newest.since is None:
        return "never requested"
    if (now - newest.since).days >= NEWEST_DAYS:
        return f"not requested in {NEWEST_DAYS} days"
    return f"not requested since {absolute_time(newest.since, now)}"


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


def last_token(times: Sequence[datetime | None], now: datetime) -> str:
    known = [at for at in times if at]
    return f"last token {absolute_time(max(known), now)}" if known else "no token yet"
