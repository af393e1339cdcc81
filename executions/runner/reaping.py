"""Executions whose worker was lost: they are retried or end as errors."""

from uuid import UUID

from django.db.models.functions import Now

from core.parts import Parts
from executions import actions, leases
from executions.event_log import NewEvent, append_to_locked
from executions.models import Execution
from executions.runner.ending import end_as_error
from executions.runner.heartbeat import heartbeats
from executions.runner.jobs import JOBS, _enqueue
from executions.runner.tracer import Kind, Status
from organizations.tenancy.scope import organization_scope


def reap() -> int:
    """End or requeue executions whose lease has lapsed; return how many there were.

    One that cannot be ended is logged and does not keep the others from their end.
    """
    parts, found = Parts(), leases.lapsed_leases()
    for organization_id, execution_id in found:
        with parts.part(execution=str(execution_id)), organization_scope(organization_id):
            execution = (
                Execution.objects.select_for_update(skip_locked=True)
                .without_content()
                .filter(pk=execution_id, lease_expires_at__lt=Now())
                .first()
            )
            if execution is not None:
                silence = leases.silence(execution)
                _take_from_worker(
                    execution,
                    f"The worker was lost: nothing was heard from it for {silence} s.",
                )
    return len(found) - parts.failed


def abandon(organization_id: UUID, execution_id: UUID) -> None:
    """End an execution that no worker was able to start."""
    with organization_scope(organization_id):
        locked = Execution.objects.select_for_update().without_content()
        execution = locked.filter(pk=execution_id).first()
        if execution is not None and execution.status == Status.QUEUED:
            end_as_error(execution, "Every worker that took it was lost before it could begin.")


def give_up(reason: str) -> None:
    """End or requeue all executions of this process, which is about to exit."""
    parts = Parts()
    for tracer in heartbeats.tracers():
        with (
            parts.part(execution=str(tracer.execution_id)),
            organization_scope(tracer.organization_id),
        ):
            execution = (
                Execution.objects.select_for_update()
                .without_content()
                .filter(pk=tracer.execution_id, lease_generation=tracer.generation)
                .first()
            )
            if execution is not None and not execution.has_ended:
                _take_from_worker(execution, reason)
        tracer.mark_lost()


def _take_from_worker(execution: Execution, reason: str) -> None:
    """Revoke the worker's lease, then requeue a job that may be retried and end any other."""
    found = JOBS.get(str(execution.description.get("entry_point", "")))
    retries = found.retries if found and execution.source == Execution.Source.WORKER else 0
    attempts = (execution.lease_generation + 1) // 2  # every lost lease has increased it as well
    leases.revoke(execution)
    if attempts <= retries:
        notice = NewEvent(actions.moment(execution), Kind.STDERR, f"{reason} It is tried again.")
        append_to_locked(execution, [notice])
        _enqueue(execution)
        return
    end_as_error(execution, reason)
