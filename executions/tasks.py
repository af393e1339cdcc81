"""Background jobs. The queue carries only ids; each job enters its organization's scope itself."""

from uuid import UUID

from django.db import OperationalError
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from executions import regrouping, retention, runner
from executions.actions.removal import MAINTENANCE, REMOVE_FOLDERS, REMOVE_LEFT_ROWS
from executions.file_storage import remove_folder
from organizations.models import Organization

JOB_RETENTION_HOURS = 72


@app.task(name=runner.TASK, queue=runner.QUEUE)
def run_execution(organization_id: str, execution_id: str) -> None:
    runner.run(UUID(organization_id), UUID(execution_id))


@app.task(name=REMOVE_FOLDERS, queue=MAINTENANCE)
def remove_folders(organization_id: str, execution_ids: list[str]) -> None:
    """Remove the files of executions that were deleted together; failures are retried at night."""
    for execution_id in execution_ids:
        remove_folder(UUID(organization_id), UUID(execution_id))


@app.task(name=REMOVE_LEFT_ROWS, queue=MAINTENANCE)
def remove_left_rows(organization_id: str) -> None:
    """Delete what large executions left when they were deleted; failures are retried at night."""
    retention.remove_left_rows(Organization.objects.get(pk=organization_id))


@app.periodic(cron="37 3 * * *")
@app.task(name="executions.remove_rows", queue=MAINTENANCE, queueing_lock="executions.remove_rows")
def remove_all_left_rows(timestamp: int) -> None:
    """Every night: delete what is still left of deleted executions."""
    retention.remove_all_left_rows()


@app.periodic(cron="17 3 * * *")
@app.task(name="executions.expire", queue=MAINTENANCE, queueing_lock="executions.expire")
def expire_executions(timestamp: int) -> None:
    """Every night: delete the executions whose retention has passed."""
    retention.expire_all()


@app.periodic(cron="47 3 * * *")
@app.task(name="executions.prune", queue=MAINTENANCE, queueing_lock="executions.prune")
def prune_uploads(timestamp: int) -> None:
    """Every night: delete abandoned uploads."""
    retention.prune_uploads()


@app.periodic(cron="57 3 * * *")
@app.task(
    name="executions.remove_files", queue=MAINTENANCE, queueing_lock="executions.remove_files"
)
def remove_left_folders(timestamp: int) -> None:
    """Every night: remove files that could not be removed with their execution."""
    retention.remove_left_folders()


@app.periodic(cron="37 4 * * *")
@app.task(
    name="executions.drop_partitions",
    queue=MAINTENANCE,
    queueing_lock="executions.drop_partitions",
    retry=RetryStrategy(max_attempts=10, wait=60, retry_exceptions={OperationalError}),
)
def drop_empty_partitions(timestamp: int) -> None:
    """Every night: drop the partitions of events whose executions are all deleted."""
    retention.drop_empty_partitions()


@app.periodic(cron="27 4 * * *")
@app.task(name="executions.regroup", queue=MAINTENANCE, queueing_lock="executions.regroup")
def regroup_errors(timestamp: int) -> None:
    """Every night: regroup errors stored by an earlier release."""
    regrouping.regroup_all()


@app.periodic(cron="7 4 * * *")
@app.task(name="executions.forget_jobs", queue=MAINTENANCE, queueing_lock="executions.forget_jobs")
async def forget_jobs(timestamp: int) -> None:
    """Every night: delete the queue's rows about finished jobs; their executions stay."""
    await app.job_manager.delete_old_jobs(
        nb_hours=JOB_RETENTION_HOURS,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )
