"""Which execution a change is about, and who may make it."""

from core.errors import Forbidden
from executions import leases
from executions.models import Execution, ExecutionNotFound, now
from organizations.actors import Actor


def moment(execution: Execution) -> float:
    """Now, but not before its newest event: the clock of an engine may be ahead of ours, and lists
    of events go by their times."""
    return max(now(), execution.end_time or 0)


def locked_for_report(execution: Execution, actor: Actor, lease: int | None) -> Execution:
    """The locked execution, for its agent, which shows the lease that a live one may have."""
    execution = locked(execution)
    require_reporter(execution, actor)
    if not execution.has_ended:
        leases.require_lease(execution, lease)
        leases.renew_if_due(execution)
    return execution


def require_reporter(execution: Execution, actor: Actor) -> None:
    """Forbidden for everyone but the agent that runs the execution, and the system."""
    is_own_agent = actor.kind == "agent" and actor.id == execution.agent_id
    if not is_own_agent and actor.kind != "system":
        raise Forbidden("Only the agent that runs an execution can report on it.")


def locked(execution: Execution) -> Execution:
    """As it is now, its content left out; ExecutionNotFound when another request has deleted it
    meanwhile."""
    found = (
        Execution.objects.select_for_update()
        .without_content()
        .filter(organization_id=execution.organization_id, pk=execution.pk)
        .first()
    )
    if found is None:
        raise ExecutionNotFound
    return found
