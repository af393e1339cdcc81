"""Locking an execution for a change, and checking who may make it."""

from core.errors import Forbidden
from executions import leases
from executions.models import Execution, ExecutionNotFound, now
from organizations.actors import Actor


def moment(execution: Execution) -> float:
    """The current Unix time, but never earlier than the execution's newest event.

    An engine's clock may be ahead of AgentIdP's, and lists of events are sorted by time.
    """
    return max(now(), execution.end_time or 0)


def locked_for_report(execution: Execution, actor: Actor, lease: int | None) -> Execution:
    """Lock the execution for a report by its agent, which must hold the lease if there is one."""
    execution = locked(execution)
    require_reporter(execution, actor)
    if not execution.has_ended:
        leases.require_lease(execution, lease)
        leases.renew_if_due(execution)
    return execution


def require_reporter(execution: Execution, actor: Actor) -> None:
    """Raise Forbidden unless the actor is the agent that runs the execution, or the system."""
    is_own_agent = actor.kind == "agent" and actor.id == execution.agent_id
    if not is_own_agent and actor.kind != "system":
        raise Forbidden("Only the agent that runs an execution can report on it.")


def locked(execution: Execution) -> Execution:
    """Lock the execution and return it without its large fields.

    Raises ExecutionNotFound when another request has deleted it in the meantime.
    """
    found = (
        Execution.objects.select_for_update()
        .without_content()
        .filter(organization_id=execution.organization_id, pk=execution.pk)
        .first()
    )
    if found is None:
        raise ExecutionNotFound
    return found
