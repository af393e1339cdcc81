"""Deleting executions with more events than a request can delete: gone at once, emptied later."""

from typing import Any

import pytest
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from conftest import ClientFor
from executions import queries, retention, tasks
from executions.actions import removal
from executions.actions.removal import REMOVE_LEFT_ROWS
from executions.event_log import NewEvent
from executions.models import (
    Execution,
    ExecutionError,
    ExecutionEvent,
    UnfinishedDeletion,
    now,
)
from executions.quotas import Amounts, stored
from executions.tests.factories import FAILED, make_execution, make_file
from executions.tests.received import received_earlier
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

URL = "/api/v1/executions"
LARGE = [NewEvent(now() - 60, "error", f"It broke, case {place}.") for place in range(9)]


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "EVENTS_AT_ONCE", 10)


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def client(operator: Membership, client_for: ClientFor) -> Client:
    return client_for(operator)


def large_run(organization: Organization) -> Execution:
    return make_execution(organization, FAILED, events=LARGE)


def rows_left(organization: Organization) -> tuple[int, int, int]:
    """The numbers of unfinished deletions, events and errors."""
    tables = (UnfinishedDeletion, ExecutionEvent, ExecutionError)
    with organization_scope(organization):
        return tuple(model.objects.count() for model in tables)  # type: ignore[return-value]


def jobs() -> list[dict[str, Any]]:
    found = ProcrastinateJob.objects.filter(task_name=REMOVE_LEFT_ROWS)
    return list(found.values_list("args", flat=True))


def test_a_large_execution_is_gone_at_once(organization: Organization, client: Client) -> None:
    execution = large_run(organization)
    make_file(execution)
    assert client.get("/api/dashboard/errors").json()["total"] == len(LARGE)

    answer = client.delete(f"{URL}/{execution.fid}")

    assert answer.status_code == 204
    assert rows_left(organization) == (1, len(LARGE) + len(FAILED), len(LARGE))
    assert client.get(f"{URL}/{execution.fid}").status_code == 404
    assert client.get(URL).json()["data"] == []
    assert client.get("/api/dashboard/errors").json()["total"] == 0
    with organization_scope(organization):
        actor = Actor.for_system(organization, "test")
        assert not queries.has_errors(organization, actor)
        assert AuditEvent.objects.latest("sequence").action == "execution.deleted"
        assert stored(organization).executions == stored(organization).file_bytes == 0
    assert client.delete(f"{URL}/{execution.fid}").status_code == 404


def test_the_worker_deletes_what_is_left(
    organization: Organization,
    other_organization: Organization,
    client: Client,
    django_capture_on_commit_callbacks: Any,
) -> None:
    kept = large_run(organization)
    execution = large_run(organization)
    elsewhere = large_run(other_organization)
    with django_capture_on_commit_callbacks() as after_commit:
        client.delete(f"{URL}/{execution.fid}")
    assert jobs() == [], "it could run before there is anything to do"
    for queue in after_commit:
        queue()
    [job] = jobs()
    assert job == {"organization_id": str(organization.pk)}

    tasks.remove_left_rows(**job)

    with organization_scope(organization):
        assert set(ExecutionEvent.objects.values_list("execution", flat=True)) == {kept.pk}
        assert set(ExecutionError.objects.values_list("execution", flat=True)) == {kept.pk}
        assert not UnfinishedDeletion.objects.exists()
        Execution.objects.get(pk=kept.pk)
    assert rows_left(other_organization) == (0, elsewhere.last_sequence, len(LARGE))


def test_what_is_left_is_deleted_in_short_transactions(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.delete(f"{URL}/{large_run(organization).fid}")
    some, deleted = retention._remove_some_left, []

    def counted(*arguments: Any) -> tuple[int, bool]:
        before = ExecutionEvent.objects.count() + ExecutionError.objects.count()
        result = some(*arguments)
        deleted.append(before - ExecutionEvent.objects.count() - ExecutionError.objects.count())
        return result

    monkeypatch.setattr(retention, "_remove_some_left", counted)

    assert retention.remove_left_rows(organization, batch=4) == 1

    assert max(deleted) == 8, "four events and their errors"
    assert sum(deleted) == 2 * len(LARGE) + len(FAILED)
    with organization_scope(organization):
        assert stored(organization) == Amounts()


def test_a_job_that_was_lost_is_made_up_for_at_night(
    organization: Organization, client: Client
) -> None:
    client.delete(f"{URL}/{large_run(organization).fid}")
    ProcrastinateJob.objects.all().delete()

    tasks.remove_all_left_rows(timestamp=0)

    assert rows_left(organization) == (0, 0, 0)


def test_a_large_execution_expires_like_others(organization: Organization) -> None:
    organization.execution_retention_days = 1
    organization.save(update_fields=["execution_retention_days"])
    old = now() - 3 * 24 * 3600
    events = [NewEvent(old, "error", "It broke.") for _ in range(30)]
    received_earlier(make_execution(organization, FAILED, start=old, events=events), 3)

    assert retention.expire(organization, batch=8) == 1

    assert rows_left(organization) == (0, 0, 0)
    with organization_scope(organization):
        assert not Execution.objects.exists()
        assert stored(organization) == Amounts()


def test_many_executions_together_are_no_more_work_than_one(
    organization: Organization, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    small = [make_execution(organization, FAILED, events=LARGE[:2]) for _ in range(4)]
    assert [each.last_sequence for each in small] == [5] * 4
    fids = {"fid": [each.fid for each in small]}

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.delete("/outputs", fids, content_type="application/json")

    assert answer.status_code == 204
    assert rows_left(organization)[:2] == (2, 10)
    assert len(jobs()) == 1
    assert client.get(URL).json()["data"] == []


def test_a_small_execution_needs_no_worker(
    organization: Organization, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        client.delete(f"{URL}/{make_execution(organization, FAILED, events=LARGE[:2]).fid}")

    assert rows_left(organization) == (0, 0, 0)
    assert jobs() == []


def test_errors_are_listed_as_fast_as_before(organization: Organization) -> None:
    """Leaving out those of unfinished deletions reads their table once, not for each row."""
    with organization_scope(organization):
        plan = ExecutionError.objects.for_organization(organization).explain()

    assert "hashed SubPlan" in plan
