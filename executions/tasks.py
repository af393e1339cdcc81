"""Background jobs. The queue carries only ids; each job enters its organization's scope itself."""

from uuid import UUID

from django.db import OperationalError
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from executions import regrouping, retention, runner, unnamed_files
from executions.actions.removal import REMOVE_FOLDERS, REMOVE_LEFT_ROWS
from executions.file_storage import remove_folder, storage_problem
from organizations.models import Organization
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.turns import (
    MAINTENANCE,
    STEPS,
    Turn,
    queue_turn,
    take_next_turn,
    take_turns,
)

JOB_RETENTION_HOURS = 72
EXPIRE_MORE = "executions.expire_more"
PRUNE_MORE = "executions.prune_more"
REMOVE_MORE_FILES = "executions.remove_more_files"
REGROUP_MORE = "executions.regroup_more"


@app.task(name=runner.TASK, queue=runner.QUEUE)
def run_execution(organization_id: str, execution_id: str) -> None:
    runner.run(UUID(organization_id), UUID(execution_id))


@app.task(name=REMOVE_FOLDERS, queue=MAINTENANCE)
def remove_folders(organization_id: str, execution_ids: list[str]) -> None:
    """Remove the files of executions that were deleted together; failures are retried at night."""
    for execution_id in execution_ids:
        if not remove_folder(UUID(organization_id), UUID(execution_id)) and storage_problem():
            break  # each of the others would wait for it


@app.task(name=REMOVE_LEFT_ROWS, queue=MAINTENANCE)
def remove_left_rows(organization_id: str) -> None:
    """Delete what large executions left when they were deleted; failures are retried at night."""
    take_next_turn(REMOVE_LEFT_ROWS, retention.remove_left_rows, organization_id)


@app.periodic(cron="37 3 * * *")
@app.task(name="executions.remove_rows", queue=MAINTENANCE, queueing_lock="executions.remove_rows")
def remove_all_left_rows(timestamp: int) -> None:
    """Every night: delete what is still left of deleted executions."""
    take_turns(REMOVE_LEFT_ROWS, retention.remove_left_rows)


@app.task(name=EXPIRE_MORE, queue=MAINTENANCE)
def expire_more(organization_id: str, earlier: int) -> None:
    expire_some(Organization.objects.get(pk=organization_id), earlier)


def expire_some(organization: Organization, earlier: int = 0) -> int:
    """Delete some expired executions. Another job goes on, and knows how many `earlier` ones there
    were."""
    turn = Turn(STEPS)
    expired = retention.expire(organization, turn, earlier=earlier)
    if turn.has_more:
        queue_turn(EXPIRE_MORE, organization.pk, earlier=expired)
    return expired


@app.periodic(cron="17 3 * * *")
@app.task(name="executions.expire", queue=MAINTENANCE, queueing_lock="executions.expire")
def expire_executions(timestamp: int) -> None:
    """Every night: delete the executions whose retention has passed."""
    keeping = Organization.objects.filter(execution_retention_days__isnull=False)
    in_every_organization(expire_some, keeping.order_by("id"))


@app.task(name=PRUNE_MORE, queue=MAINTENANCE)
def prune_more_uploads(organization_id: str) -> None:
    take_next_turn(PRUNE_MORE, retention.prune_uploads, organization_id)


@app.periodic(cron="47 3 * * *")
@app.task(name="executions.prune", queue=MAINTENANCE, queueing_lock="executions.prune")
def prune_uploads(timestamp: int) -> None:
    """Every night: delete abandoned uploads."""
    take_turns(PRUNE_MORE, retention.prune_uploads)


@app.task(name=REMOVE_MORE_FILES, queue=MAINTENANCE)
def remove_more_left_folders(organization_id: str) -> None:
    take_next_turn(REMOVE_MORE_FILES, retention.remove_left_folders, organization_id)


@app.periodic(cron="57 3 * * *")
@app.task(
    name="executions.remove_files", queue=MAINTENANCE, queueing_lock="executions.remove_files"
)
def remove_left_folders(timestamp: int) -> None:
    """Every night: remove files that could not be removed with their execution."""
    take_turns(REMOVE_MORE_FILES, retention.remove_left_folders)


@app.periodic(cron="17 5 * * *")
@app.task(
    name="executions.remove_unnamed_files",
    queue=MAINTENANCE,
    queueing_lock="executions.remove_unnamed_files",
)
def remove_unnamed_files(timestamp: int) -> None:
    """Every night: remove files that were saved and whose rows were not."""
    unnamed_files.remove_unnamed_files()


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


@app.task(name=REGROUP_MORE, queue=MAINTENANCE)
def regroup_more_errors(organization_id: str) -> None:
    take_next_turn(REGROUP_MORE, regrouping.regroup, organization_id)


@app.periodic(cron="27 4 * * *")
@app.task(name="executions.regroup", queue=MAINTENANCE, queueing_lock="executions.regroup")
def regroup_errors(timestamp: int) -> None:
    """Every night: regroup errors stored by an earlier release."""
    take_turns(REGROUP_MORE, regrouping.regroup)


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
