"""Rows that somebody else wrote into the job queue stop no other job."""

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from procrastinate.contrib.django import app
from structlog.testing import capture_logs

from agentidp.management.commands.worker import MAX_ATTEMPTS, clean_up_once
from executions import runner
from executions.actions.removal import REMOVE_LEFT_ROWS
from executions.tests.jobs import launch, now
from organizations.models import Organization

NIGHTLY = "executions.expire"
PLAIN = {"queue_name": "maintenance", "task_name": NIGHTLY, "args": {"timestamp": 1}}
LOCKED = PLAIN | {"queueing_lock": NIGHTLY}
SOMEBODY = "00000000-0000-4000-8000-000000000001"
TURN: dict[str, Any] = {
    "queue_name": "maintenance",
    "task_name": REMOVE_LEFT_ROWS,
    "args": {"organization_id": SOMEBODY},
    "lock": f"{REMOVE_LEFT_ROWS} {SOMEBODY}",
    "queueing_lock": f"{REMOVE_LEFT_ROWS} {SOMEBODY}",
}
FAR = "2999-01-01T00:00:00Z"
UNUSABLE: dict[str, dict[str, Any]] = {
    "a list": PLAIN | {"args": [1]},
    "a text, begun": PLAIN | {"args": "x", "status": "doing"},
    "before all times": PLAIN | {"scheduled_at": "-infinity"},
    "before all times, begun": PLAIN | {"scheduled_at": "-infinity", "status": "doing"},
    "after all times": PLAIN | {"scheduled_at": "infinity"},
    "a nightly lock, far": LOCKED | {"scheduled_at": FAR},
    "a nightly lock, in no queue": LOCKED | {"queue_name": "nowhere"},
    "a nightly lock, of another task": LOCKED | {"task_name": "executions.prune"},
    "a nightly lock, behind another lock": LOCKED | {"lock": "held"},
    "a turn, far": TURN | {"scheduled_at": FAR},
    "a turn, in no queue": TURN | {"queue_name": "nowhere"},
    "a turn, of another task": TURN | {"task_name": NIGHTLY},
    "a turn, of another organization": TURN | {"args": {"organization_id": "x"}},
    "a turn, of none": TURN | {"args": {}},
    "a turn, behind another lock": TURN | {"lock": "held"},
    "a turn, without a lock": TURN | {"lock": None},
}
USABLE: dict[str, dict[str, Any]] = {
    "nightly": LOCKED,
    "a turn": TURN,
    "retried": LOCKED | {"scheduled_at": "2026-01-01T00:00:00Z"},
    "late": PLAIN | {"scheduled_at": FAR},
    "ended": LOCKED | {"args": [1], "status": "succeeded"},
}


def put(**row: Any) -> int:
    row["args"] = json.dumps(row["args"])
    names = ", ".join(row)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO procrastinate_jobs ({names}) VALUES ({', '.join(['%s'] * len(row))}) "
            "RETURNING id",
            list(row.values()),
        )
        return int(cursor.fetchone()[0])


def status_of(number: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM procrastinate_jobs WHERE id = %s", [number])
        return str(cursor.fetchone()[0])


def clean_up() -> list[Any]:
    """The refused jobs that the log names."""
    with capture_logs() as logs:
        async_to_sync(clean_up_once)()
    assert [each for each in logs if each["log_level"] == "error"] == []

    return [each["job"] for each in logs if each["event"] == "job.refused"]


def defer_nightly(at: int) -> int | None:
    """Do what the worker does at the time of the job; None if it is already in the queue."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT procrastinate_defer_periodic_job_v2('maintenance', NULL, %s, %s, 0, '', %s, "
            """'{"timestamp": 1}')""",
            [NIGHTLY, NIGHTLY, at],
        )
        found: int | None = cursor.fetchone()[0]
        return found


@pytest.mark.django_db
@pytest.mark.parametrize("row", UNUSABLE.values(), ids=list(UNUSABLE))
def test_an_unusable_row_is_ended_and_named(row: dict[str, Any]) -> None:
    number = put(**row)

    assert clean_up() == [number]
    assert status_of(number) == "failed"
    assert defer_nightly(1) is not None


@pytest.mark.django_db
@pytest.mark.parametrize("row", USABLE.values(), ids=list(USABLE))
def test_other_rows_are_left_alone(row: dict[str, Any]) -> None:
    number = put(**row)

    assert clean_up() == []
    assert status_of(number) == row.get("status", "todo")


@pytest.mark.django_db
def test_a_nightly_job_that_only_seems_to_be_queued(organization: Organization) -> None:
    tomorrow = 4_000_000_000
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp) "
            "VALUES (%s, '', %s)",
            [NIGHTLY, tomorrow],
        )
    assert defer_nightly(tomorrow) is None

    assert clean_up() == [0]

    assert defer_nightly(tomorrow) is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [{"organization_id": 5, "execution_id": []}, {"organization_id": "x", "execution_id": "y"}, {}],
)
def test_a_lost_execution_with_impossible_ids_is_ended(arguments: dict[str, Any]) -> None:
    number = put(
        queue_name=runner.QUEUE,
        task_name=runner.TASK,
        args=arguments,
        status="doing",
        attempts=MAX_ATTEMPTS,
    )

    assert clean_up() == [number]
    assert status_of(number) == "failed"


@pytest.mark.django_db
def test_a_lost_execution_of_ours_ends_as_well(organization: Organization) -> None:
    execution = launch(organization)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', attempts = %s", [MAX_ATTEMPTS]
        )

    assert clean_up() == []

    assert now(execution).status == "error"


def test_the_rows_of_all_nightly_jobs_are_known() -> None:
    tasks = [each.task for each in app.periodic_registry.periodic_tasks.values()]

    assert len(tasks) >= 6
    assert all(task.queueing_lock == task.name and task.lock is None for task in tasks)
