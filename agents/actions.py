"""Changes to agents: registration, updates and status."""

from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.models import (
    Agent,
    AgentAlreadyDecommissioned,
    AgentAlreadyExists,
    default_scopes,
)
from core.constraints import refusing
from core.errors import DomainError, Forbidden, InvalidValue
from core.ids import uuid7
from organizations.actions.organizations import next_second
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization, Principal


class AgentLimitReached(DomainError):
    code = "FREE_TIER_LIMIT_EXCEEDED"
    status = Forbidden.status
    message = "The plan's limit on agents is reached. Decommission one or ask for a larger plan."


@transaction.atomic
def register_agent(*, actor: Actor, **fields: Any) -> Agent:
    """Register an active agent in the actor's organization.

    `fields` are validated by the serializer.
    """
    # Counting and inserting must be atomic. NO KEY: tokens can be issued meanwhile.
    organization = Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)
    if Agent.objects.for_organization(organization).counted().count() >= organization.max_agents:
        raise AgentLimitReached(maxAgents=organization.max_agents)
    if "scopes" in fields:
        require_grantable(fields["scopes"], None, actor=actor)
    else:
        fields["scopes"] = [scope for scope in default_scopes() if actor.may(scope)]
    agent = Agent(id=uuid7(), organization=organization, **fields)
    Principal.objects.create(id=agent.pk, organization=organization)
    _save(agent, force_insert=True)
    record_event(AuditAction.AGENT_CREATED, agent, actor=actor, agentType=agent.agent_type)
    return agent


@transaction.atomic
def update_agent(agent: Agent, *, actor: Actor, **changes: Any) -> Agent:
    """Apply the changes. A change of status is recorded as an event of its own."""
    agent = _locked(agent, actor=actor)
    status = changes.pop("status", agent.status)
    if "scopes" in changes:
        require_grantable(changes["scopes"], agent, actor=actor)
    changed = {name: value for name, value in changes.items() if getattr(agent, name) != value}
    if changed:
        before = {name: getattr(agent, name) for name in changed}
        for name, value in changed.items():
            setattr(agent, name, value)
        _save(agent, update_fields=[*changed, "updated_at"])
        record_event(AuditAction.AGENT_UPDATED, agent, actor=actor, before=before, after=changed)
    if status == Agent.Status.SUSPENDED:
        return suspend_agent(agent, actor=actor)
    if status == Agent.Status.ACTIVE:
        return reactivate_agent(agent, actor=actor)
    return agent


@transaction.atomic
def suspend_agent(agent: Agent, *, actor: Actor) -> Agent:
    """Suspend an agent. Its tokens stop working, because they check its status."""
    return _set_status(agent, Agent.Status.SUSPENDED, AuditAction.AGENT_SUSPENDED, actor=actor)


@transaction.atomic
def reactivate_agent(agent: Agent, *, actor: Actor) -> Agent:
    """Reactivate a suspended agent. Tokens that the suspension ended stay invalid."""
    if _locked(agent, actor=actor).is_active:
        return agent
    agent = _set_status(agent, Agent.Status.ACTIVE, AuditAction.AGENT_REACTIVATED, actor=actor)
    agent.token_generation += 1
    agent.tokens_valid_from = next_second()
    agent.save(update_fields=["token_generation", "tokens_valid_from"])
    return agent


@transaction.atomic
def decommission_agent(agent: Agent, *, actor: Actor) -> Agent:
    """Decommission an agent permanently. The row is kept, so that its history keeps its name."""
    agent = _locked(agent, actor=actor)
    _require_not_oneself(agent, actor=actor)
    agent.status = Agent.Status.DECOMMISSIONED
    agent.decommissioned_at = timezone.now()
    agent.save(update_fields=["status", "decommissioned_at", "updated_at"])
    record_event(AuditAction.AGENT_DECOMMISSIONED, agent, actor=actor)
    return agent


def require_grantable(scopes: list[str], agent: Agent | None, *, actor: Actor) -> None:
    """Raise Forbidden if the actor lacks one of the scopes, or is the agent itself."""
    if agent is not None and actor.kind == "agent" and actor.id == agent.pk:
        raise Forbidden(
            "An agent cannot change its own scopes.", scopes=["You cannot change your own."]
        )
    kept = set(agent.scopes) if agent else set()
    beyond = sorted(set(scopes) - actor.scopes - kept)
    if beyond:
        raise Forbidden(f"You cannot grant {' '.join(beyond)}: you do not hold it.", scopes=beyond)
    if Scope.ADMIN_ORGS in set(scopes) - kept and not is_administrator(agent):
        problem = "Only an agent that is an admin member of the organization may hold admin:orgs."
        raise InvalidValue(problem, scopes=[problem])


def is_administrator(agent: Agent | None) -> bool:
    """Whether the agent is an admin member of its organization, so that it may hold admin:orgs."""
    return (
        agent is not None
        and Principal.objects.filter(pk=agent.pk, role=Principal.Role.ADMIN).exists()
    )


def require_may_handle(agent: Agent, *, actor: Actor) -> None:
    """Raise Forbidden unless the actor may change, end or give credentials to this agent.

    Only an administrator may manage an agent that is one: otherwise agents:write alone could end
    the administration or obtain a token with it.
    """
    if actor.kind != "staff" and not actor.may(Scope.ADMIN_ORGS) and is_administrator(agent):
        raise Forbidden(
            "This agent administers the organization: only someone who does as well can manage it."
        )


def _locked(agent: Agent, *, actor: Actor) -> Agent:
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    require_may_handle(agent, actor=actor)
    if agent.is_decommissioned:
        raise AgentAlreadyDecommissioned
    return agent


def _set_status(agent: Agent, status: Agent.Status, action: AuditAction, *, actor: Actor) -> Agent:
    agent = _locked(agent, actor=actor)
    if agent.status == status:
        return agent
    _require_not_oneself(agent, actor=actor)
    agent.status = status
    agent.save(update_fields=["status", "updated_at"])
    record_event(action, agent, actor=actor)
    return agent


def _require_not_oneself(agent: Agent, *, actor: Actor) -> None:
    """Raise Forbidden if an agent changes its own status."""
    if actor.kind == "agent" and actor.id == agent.pk:
        raise Forbidden("An agent cannot change its own status.")


def _save(agent: Agent, **how: Any) -> None:
    taken = partial(AgentAlreadyExists, email=["Already in use."])
    with refusing(agents_agent_email_unique=taken):
        agent.save(**how)
