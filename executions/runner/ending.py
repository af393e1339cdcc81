"""Ending a worker's runs when they may not go on."""

from uuid import UUID

from executions import actions, leases
from executions.event_log import NewEvent, append_to_locked
from executions.models import Execution, ExecutionEvent

Kind, Status = ExecutionEvent.Kind, Execution.Status


def end_as_error(execution: Execution, reason: str) -> None:
    at = actions.moment(execution)
    events = [NewEvent(at, Kind.ERROR, reason), NewEvent(at, Kind.STATUS, Status.ERROR)]
    append_to_locked(execution, events)


def may_not_run(execution: Execution) -> str:
    """Why the execution may not start or go on, as a sentence; empty while it may.

    A run of an external engine is stopped by its tokens, a worker's run by this check.
    """
    if not execution.organization.is_active:
        return "The organization is no longer active."
    if execution.agent is not None and not execution.agent.is_active:
        return "The agent is no longer active."
    return ""


def end_if_it_may_not_run(execution_id: UUID) -> bool:
    """End the execution if it may not run. Return whether it was ended.

    Called at every heartbeat, so the row is locked only when necessary.
    """
    found = Execution.objects.without_content().select_related("organization", "agent")
    execution = found.filter(pk=execution_id).first()
    reason = may_not_run(execution) if execution else ""
    if not reason:
        return False
    execution = found.select_for_update(of=("self",)).get(pk=execution_id)
    if not execution.has_ended:
        leases.revoke(execution)
        end_as_error(execution, reason)
    return True
