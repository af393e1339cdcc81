"""A worker's task: claim a launched execution, run its job, and report how it ended."""

import traceback
from uuid import UUID

import structlog

from executions import actions, leases
from executions.event_log import NewEvent, append_to_locked
from executions.models import Execution
from executions.runner.ending import end_as_error, may_not_run
from executions.runner.heartbeat import LEASE, heartbeats
from executions.runner.jobs import JOBS
from executions.runner.tracer import Interrupted, Kind, Status, Tracer
from organizations.tenancy.scope import organization_scope

logger = structlog.get_logger(__name__)


def run(organization_id: UUID, execution_id: UUID) -> None:
    """Run the execution in this process, unless another worker holds it or it has ended."""
    tracer = claim(organization_id, execution_id)
    if tracer is None:
        return
    with heartbeats.for_job(tracer):
        try:
            found = JOBS.get(tracer.name)
            if found is None:
                tracer.has_failed(f"There is no job named {tracer.name}.")
                return
            tracer.has_begun()
            tracer.has_finished(found.function(tracer))
        except Interrupted:
            logger.info("execution.interrupted", execution_id=str(execution_id))
        except (Exception, SystemExit) as error:
            _fail(tracer, error)


def _fail(tracer: Tracer, error: BaseException) -> None:
    frames = error.__traceback__.tb_next if error.__traceback__ else None  # without this file's
    try:
        tracer.has_failed("".join(traceback.format_exception(type(error), error, frames)))
    except Interrupted:
        logger.info("execution.interrupted", execution_id=str(tracer.execution_id))


def claim(organization_id: UUID, execution_id: UUID) -> Tracer | None:
    """Claim an execution that waits for a worker; None when there is nothing to do."""
    with organization_scope(organization_id):
        execution = Execution.objects.select_for_update().filter(pk=execution_id).first()
        if execution is None or not waits(execution):
            return None
        if reason := may_not_run(execution):
            end_as_error(execution, reason)
            return None
        leases.grant(execution, LEASE)
        is_first = execution.status == Status.QUEUED
        events = [NewEvent(actions.moment(execution), Kind.STATUS, Status.STARTING)]
        execution = append_to_locked(execution, events if is_first else [])
        inputs = execution.inputs if isinstance(execution.inputs, dict) else {}
        return Tracer(
            organization_id,
            execution_id,
            execution.lease_generation,
            str(execution.description.get("entry_point", "")),
            inputs.get("dict", {}),
        )


def waits(execution: Execution) -> bool:
    """Whether the execution is queued, or lost its worker and may be retried."""
    if execution.has_ended or execution.lease_expires_at is not None:
        return False
    return execution.status == Status.QUEUED or leases.is_revoked(execution)
