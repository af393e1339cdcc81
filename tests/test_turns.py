"""Background work of one organization keeps neither mail nor the work of others waiting: it is done
in turns, one at a time, and each goes to the end of the queue."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from agentidp.management.commands import worker
from executions import retention, runner, tasks
from executions.actions import removal
from executions.actions.removal import REMOVE_FOLDERS, REMOVE_LEFT_ROWS
from executions.event_log import NewEvent
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    UnfinishedDeletion,
    Upload,
    now,
)
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_file,
    make_upload,
)
from executions.tests.received import received_earlier
from organizations.models import AuditEvent, Organization
from organizations.people import mailing
from organizations.tenancy import turns
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.turns import Turn, queue_turn
from tokens import pruning
from tokens.access_tokens import new_token_id
from tokens.models import Revocation

DAY = 24 * 3600
FETCH = "SELECT (procrastinate_fetch_job_v2(%s, NULL)).args ->> 'organization_id'"


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (turns, tasks):
        monkeypatch.setattr(module, "STEPS", 2)


def left(organization: Organization, model: Any) -> int:
    with organization_scope(organization):
        return int(model.objects.count())


def queued() -> list[tuple[str, dict[str, Any]]]:
    rows = ProcrastinateJob.objects.filter(status="todo").order_by("id")
    return list(rows.values_list("task_name", "args"))


def run_queued() -> int:
    """Run what is queued, and what that queues; return how many jobs there were."""
    number = 0
    while found := queued():
        ProcrastinateJob.objects.filter(status="todo").update(status="succeeded")
        for name, arguments in found:
            app.tasks[name](**arguments)
            number += 1
    return number


def fetched(queue: str = "maintenance") -> str | None:
    """The organization of the job that a worker takes next."""
    with connection.cursor() as cursor:
        cursor.execute(FETCH, [[queue]])
        found: str | None = cursor.fetchone()[0]
        return found


def test_mail_and_executions_have_places_of_their_own() -> None:
    places = worker.places_of_queues(7)

    assert places[:2] == [([runner.QUEUE], 7), ([mailing.QUEUE], worker.PLACES)]
    served = [queue for queues, _ in places for queue in queues]
    assert sorted(served) == sorted({task.queue for task in app.tasks.values()})
    assert len(served) > 2


def unfinished_deletions(organization: Organization) -> type:
    with organization_scope(organization):
        for _ in range(5):
            UnfinishedDeletion.objects.create(organization=organization, last_sequence=1)
    return UnfinishedDeletion


def uploads(organization: Organization) -> type:
    for _ in range(5):
        make_upload(make_execution(organization, RUNNING))
    with organization_scope(organization):
        Upload.objects.update(created_at=timezone.now() - timedelta(days=3))
    return Upload


def revocations(organization: Organization) -> type:
    past = timezone.now() - timedelta(days=99)
    with organization_scope(organization):
        for _ in range(5):
            Revocation.objects.create(
                organization=organization, token_id=new_token_id(), expires_at=past
            )
    return Revocation


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("job", "make", "more"),
    [
        ("executions.remove_rows", unfinished_deletions, REMOVE_LEFT_ROWS),
        ("executions.prune", uploads, tasks.PRUNE_MORE),
    ],
)
def test_a_nightly_job_does_one_turn_and_queues_the_rest(
    organization: Organization,
    other_organization: Organization,
    job: str,
    make: Callable[[Organization], type],
    more: str,
) -> None:
    model = make(organization)
    make(other_organization)

    app.tasks[job](timestamp=0)

    both = (organization, other_organization)
    assert [left(each, model) for each in both] == [3, 3]
    names = sorted((more, str(each.pk)) for each in both)
    assert sorted((name, each["organization_id"]) for name, each in queued()) == names
    assert run_queued() == 4
    assert [left(each, model) for each in both] == [0, 0]


@pytest.mark.django_db
def test_expired_rows_are_deleted_in_turns(organization: Organization) -> None:
    revocations(organization)

    pruning.prune_expired(batch=1)

    assert left(organization, Revocation) == 3
    assert queued() == [(pruning.PRUNE_MORE, {"organization_id": str(organization.pk)})]
    run_queued()
    assert left(organization, Revocation) == 0


@pytest.mark.django_db
def test_errors_are_regrouped_in_turns(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [NewEvent(now(), "error", f"It broke {number}.") for number in range(5)]
    make_execution(organization, FAILED, events=events)
    with organization_scope(organization):
        ExecutionError.objects.update(fingerprint="0" * 16)
    some = tasks.regrouping.regroup_some
    monkeypatch.setattr(
        "executions.regrouping.regroup_some", lambda organization: some(organization, batch=1)
    )

    tasks.regroup_errors(timestamp=0)

    with organization_scope(organization):
        assert ExecutionError.objects.filter(fingerprint="0" * 16).count() == 3
    assert queued() == [(tasks.REGROUP_MORE, {"organization_id": str(organization.pk)})]
    run_queued()
    with organization_scope(organization):
        assert not ExecutionError.objects.filter(fingerprint="0" * 16).exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("each_storage")
def test_left_files_are_removed_in_turns(organization: Organization) -> None:
    for _ in range(5):
        execution = make_execution(organization)
        make_file(execution)
        with organization_scope(organization):
            DeletedExecution.objects.create(
                id=execution.pk, organization=organization, fid=f"{execution.fid}-gone"
            )

    tasks.remove_left_folders(timestamp=0)

    assert len(list(retention.execution_folders(organization.pk))) == 2
    assert queued() == [(tasks.REMOVE_MORE_FILES, {"organization_id": str(organization.pk)})]
    run_queued()
    assert list(retention.execution_folders(organization.pk)) == []


@pytest.mark.django_db
def test_an_expiry_of_many_turns_is_recorded_once(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization.execution_retention_days = 30
    organization.save(update_fields=["execution_retention_days"])
    for _ in range(9):
        received_earlier(make_execution(organization, FINISHED, start=now() - 31 * DAY), 31)
    expire = retention.expire
    monkeypatch.setattr(retention, "expire", lambda *args, **more: expire(*args, batch=8, **more))

    tasks.expire_executions(timestamp=0)

    assert 0 < left(organization, Execution) < 9
    [(name, arguments)] = queued()
    assert name == tasks.EXPIRE_MORE
    assert arguments["earlier"] == 9 - left(organization, Execution)
    assert run_queued() > 1
    assert left(organization, Execution) == 0
    with organization_scope(organization):
        rows = AuditEvent.objects.order_by("sequence").values_list("action", "metadata")
        assert [row for row in rows if row[0].startswith("execution.exp")] == [
            ("execution.expiry_started", {"executions": 9, "days": 30}),
            ("execution.expired", {"executions": 9, "days": 30}),
        ]


@pytest.mark.django_db
def test_an_expiry_that_is_switched_off_between_two_turns_is_recorded(
    organization: Organization,
) -> None:
    make_execution(organization)

    tasks.expire_more(organization_id=str(organization.pk), earlier=7)

    assert left(organization, Execution) == 1
    with organization_scope(organization):
        found = AuditEvent.objects.latest("sequence")
    assert (found.action, found.metadata) == ("execution.expired", {"executions": 7, "days": None})
    assert queued() == []


@pytest.mark.django_db
def test_one_organization_never_has_two_places(
    organization: Organization, other_organization: Organization
) -> None:
    removal._leave_to_worker(organization.pk, [new_token_id() for _ in range(50)])
    removal._leave_to_worker(other_organization.pk, [new_token_id()])
    assert ProcrastinateJob.objects.filter(task_name=REMOVE_FOLDERS).count() == 4

    assert [fetched(), fetched(), fetched()] == [
        str(organization.pk),
        str(other_organization.pk),
        None,
    ]


@pytest.mark.django_db
def test_the_work_of_the_deployment_goes_first(organization: Organization) -> None:
    queue_turn(REMOVE_LEFT_ROWS, organization.pk)
    queue_turn(REMOVE_LEFT_ROWS, organization.pk)
    app.configure_task("organizations.make_partitions").defer(timestamp=1)
    assert len(queued()) == 2

    assert [fetched(), fetched(), fetched()] == [None, str(organization.pk), None]


@pytest.mark.django_db(transaction=True)
def test_a_lost_turn_does_not_block_the_next_one(organization: Organization) -> None:
    """Its row cannot go back into the queue, where the next one is."""
    queue_turn(REMOVE_LEFT_ROWS, organization.pk)
    assert fetched() == str(organization.pk)
    queue_turn(REMOVE_LEFT_ROWS, organization.pk)
    assert fetched() is None

    async_to_sync(worker.clean_up_once)()

    assert fetched() == str(organization.pk)


def test_a_turn_without_a_number_of_steps_has_no_end() -> None:
    turn = Turn()

    assert all(turn.take() for _ in range(1000))
    assert not turn.has_more
