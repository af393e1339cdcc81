"""What jobs do in all organizations at night: one organization that fails does not stop the others,
nothing is deleted without a record, and the clock of the worker decides nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from structlog.testing import capture_logs

from agentidp.tests.waiting import until
from agents.tests.factories import make_agent
from analytics.models import FindingSnooze
from conftest import ClientFor
from core.database_clock import MARGIN
from core.parts import PartsFailed
from executions import retention, runner
from executions.event_log import NewEvent
from executions.models import Execution, ExecutionError, UnfinishedDeletion, Upload, now
from executions.tests.engine import URL, post
from executions.tests.factories import FAILED, FINISHED, RUNNING, make_execution, make_upload
from executions.tests.jobs import launch
from executions.tests.received import received_earlier
from organizations.models import AccountLink, AnsweredRequest, Attempt, AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import HEAD, until_it_waits
from organizations.tests.factories import make_organization, make_user
from tokens.access_tokens import new_token_id
from tokens.keys import rotate_signing_key
from tokens.models import LoginSession, Revocation, SigningKey
from tokens.tests.clients import bearer
from tokens.tests.factories import access_token_for

DAY = 24 * 3600
NIGHTLY = [
    "analytics.prune",
    "executions.expire",
    "executions.prune",
    "executions.remove_rows",
    "executions.remove_files",
    "executions.remove_unnamed_files",
    "executions.regroup",
    "tokens.prune",
]
REFUSING = """
CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.{column} = '{key}' THEN RAISE EXCEPTION 'It cannot be changed.'; END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER refuse_one BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION refuse_one();
"""
Refuse = Callable[..., Any]


@pytest.fixture
def refuse(owner: psycopg.Connection) -> Iterator[Refuse]:
    """Make every change and deletion of one organization's rows, or of one row, fail."""

    def refuse(table: str, **row: Any) -> None:
        [(column, key)] = row.items()
        owner.execute(REFUSING.format(table=table, column=column, key=key))

    yield refuse
    owner.execute("DROP FUNCTION refuse_one CASCADE")


@pytest.fixture
def two(transactional_db: None) -> list[Organization]:
    """Two organizations in the order in which jobs take them."""
    made = [make_organization(name, execution_retention_days=30) for name in ("One", "Two")]
    return sorted(made, key=lambda each: each.pk)


def run_job(name: str) -> None:
    app.tasks[name](timestamp=0)


def count(organization: Organization, model: Any) -> int:
    with organization_scope(organization):
        return int(model.objects.count())


def expired_run(organization: Organization, **fields: Any) -> Execution:
    run = make_execution(organization, FINISHED, start=now() - 31 * DAY, **fields)
    return received_earlier(run, 31)


def abandoned_upload(organization: Organization) -> None:
    upload = make_upload(make_execution(organization, RUNNING))
    with organization_scope(organization):
        Upload.objects.filter(pk=upload.pk).update(created_at=timezone.now() - timedelta(days=3))


def unfinished_deletion(organization: Organization) -> None:
    with organization_scope(organization):
        UnfinishedDeletion.objects.create(organization=organization, last_sequence=1)


def old_error(organization: Organization) -> None:
    make_execution(organization, FAILED, events=[NewEvent(now(), "error", "It broke.")])
    with organization_scope(organization):
        ExecutionError.objects.update(fingerprint="0" * 16)


def old_revocation(organization: Organization) -> None:
    with organization_scope(organization):
        Revocation.objects.create(
            organization=organization,
            token_id=new_token_id(),
            expires_at=timezone.now() - 2 * MARGIN,
        )


def old_snooze(organization: Organization) -> None:
    make_snooze(organization, timedelta(days=-1))


def make_snooze(organization: Organization, left: timedelta) -> None:
    with organization_scope(organization):
        FindingSnooze.objects.create(
            organization=organization,
            kind="silent_day",
            severity="warn",
            message="No agent got a token.",
            reason="Maintenance",
            until=timezone.now() + left,
        )


def old_errors_left(organization: Organization) -> int:
    with organization_scope(organization):
        return ExecutionError.objects.filter(fingerprint="0" * 16).count()


@pytest.mark.parametrize(
    ("job", "table", "make", "left"),
    [
        ("analytics.prune", "analytics_findingsnooze", old_snooze, FindingSnooze),
        ("executions.expire", "executions_execution", expired_run, Execution),
        (
            "executions.remove_rows",
            "executions_unfinisheddeletion",
            unfinished_deletion,
            UnfinishedDeletion,
        ),
        ("executions.prune", "executions_upload", abandoned_upload, Upload),
        ("executions.regroup", "executions_executionerror", old_error, old_errors_left),
        ("tokens.prune", "tokens_revocation", old_revocation, Revocation),
    ],
)
def test_an_organization_that_fails_does_not_stop_the_others(
    two: list[Organization],
    refuse: Refuse,
    job: str,
    table: str,
    make: Callable[[Organization], Any],
    left: Any,
) -> None:
    for organization in two:
        make(organization)
    refuse(table, organization_id=two[0].pk)
    past = timezone.now() - timedelta(days=9)
    Attempt.objects.create(key="old", attempts=1, started_at=past, ends_at=past)

    with capture_logs() as logs, pytest.raises(PartsFailed, match="1 parts failed"):
        run_job(job)

    failed = [each for each in logs if each["event"] == "part.failed"]
    assert [each["organization"] for each in failed] == [str(two[0].pk)]
    assert "It cannot be changed." in str(failed[0]["exc_info"])
    held = left if callable(left) and not isinstance(left, type) else lambda it: count(it, left)
    assert [held(each) for each in two] == [1, 0]
    assert Attempt.objects.exists() is (job != "tokens.prune"), "the other kinds are pruned as well"


def test_a_run_that_cannot_be_ended_does_not_stop_the_reaper(
    two: list[Organization], refuse: Refuse
) -> None:
    past = timezone.now() - timedelta(seconds=40)
    lost = [
        make_execution(each, RUNNING, lease_generation=1, lease_seconds=30, lease_expires_at=past)
        for each in [*two, *two]
    ]
    refuse("executions_execution", organization_id=two[0].pk)

    with capture_logs() as logs:
        assert runner.reap() == 2

    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["part.failed"] * 2
    for each in lost:
        with organization_scope(each.organization_id):
            is_ended = Execution.objects.get(pk=each.pk).has_ended
        assert is_ended is (each.organization_id == two[1].pk)


def test_a_run_whose_lease_cannot_be_renewed_does_not_stop_the_heartbeat(
    two: list[Organization], refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.runner.heartbeat.BEAT", 0.05)
    bad, good = (runner.claim(each.pk, launch(each).pk) for each in two)
    for tracer in (bad, good):
        with organization_scope(tracer.organization_id):
            past = timezone.now() - timedelta(seconds=40)
            Execution.objects.filter(pk=tracer.execution_id).update(lease_expires_at=past)
    refuse("executions_execution", organization_id=bad.organization_id)

    def is_renewed(tracer: runner.Tracer) -> bool:
        with organization_scope(tracer.organization_id):
            execution = Execution.objects.get(pk=tracer.execution_id)
        return execution.lease_expires_at > timezone.now()

    def failures() -> list[Any]:
        return [each for each in logs if each["event"] == "heartbeat.failed"]

    with capture_logs() as logs, runner.heartbeats.for_job(bad):
        assert until(failures)
        with runner.heartbeats.for_job(good):
            assert until(lambda: is_renewed(good))
            assert not bad.is_over

    assert {each["execution"] for each in failures()} == {str(bad.execution_id)}
    assert "It cannot be changed." in str(failures()[0]["exc_info"])


def test_expiry_is_recorded_before_anything_is_deleted(
    two: list[Organization], owner: psycopg.Connection
) -> None:
    """A worker that is killed on the way has deleted nothing in silence, and nobody who wants to
    record waits for it."""
    organization = two[0]
    expired_run(organization)

    def run() -> None:
        try:
            run_job("executions.expire")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("LOCK TABLE executions_executionerror IN EXCLUSIVE MODE")
        night = pool.submit(run)
        until_it_waits(night, owner)
        meanwhile = recorded(organization)
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)])
        owner.execute(HEAD, [organization.pk])

    night.result()
    started = ("execution.expiry_started", {"executions": 1, "days": 30})
    assert meanwhile == [started]
    assert recorded(organization) == [
        started,
        ("execution.expired", {"executions": 1, "days": 30}),
    ]


def test_expiry_that_fails_records_what_it_deleted(two: list[Organization], refuse: Refuse) -> None:
    runs = [expired_run(two[0], fid=f"run-{number}") for number in range(3)]
    refuse("executions_execution", fid=runs[2].fid)

    with pytest.raises(Exception, match="It cannot be changed"):
        retention.expire(two[0], batch=8)

    assert count(two[0], Execution) == 2, "the second batch had two of them"
    assert recorded(two[0]) == [
        ("execution.expiry_started", {"executions": 3, "days": 30}),
        ("execution.expired", {"executions": 1, "days": 30}),
    ]


def recorded(organization: Organization) -> list[tuple[str, dict[str, Any]]]:
    with organization_scope(organization):
        rows = AuditEvent.objects.order_by("sequence").values_list("action", "metadata")
        return [row for row in rows if row[0].startswith("execution.exp")]


@contextmanager
def clock_moved(time_machine: Any, days: int) -> Iterator[None]:
    time_machine.move_to(timezone.now() + timedelta(days=days))
    try:
        yield
    finally:
        time_machine.move_to(timezone.now() - timedelta(days=days))


def test_a_worker_whose_clock_is_ahead_deletes_nothing(
    organization: Organization, client_for: ClientFor, time_machine: Any
) -> None:
    organization.execution_retention_days = 30
    organization.save(update_fields=["execution_retention_days"])
    client = client_for(make_agent(organization))
    post(client, URL, {"executionId": "run-1"}, 201, **{"Idempotency-Key": "one"})
    post(client, f"{URL}/run-1/finish", {"status": "finished"})
    make_upload(make_execution(organization, RUNNING))
    make_snooze(organization, timedelta(hours=1))
    end = timezone.now() + timedelta(hours=1)
    user, later = make_user(), {"expires_at": end}
    kept = [
        LoginSession.objects.create(user=user, ended_at=timezone.now()),
        OutstandingToken.objects.create(user=user, jti="x", **later),
        AccountLink.objects.create(user=user, purpose="password", secret_mac=b"x" * 32, **later),
        Session.objects.create(session_key="one", session_data="x", expire_date=end),
        Attempt.objects.create(key="one", attempts=1, started_at=timezone.now()),
        rotate_signing_key("ES256"),
    ]
    SigningKey.objects.filter(pk=kept[-1].pk).update(removed_at=timezone.now())

    with clock_moved(time_machine, 365):
        for job in NIGHTLY:
            run_job(job)

    kinds = (Execution, Upload, AnsweredRequest, FindingSnooze)
    assert [count(organization, each) for each in kinds] == [2, 1, 1, 1]
    assert [each for each in kept if not type(each).objects.filter(pk=each.pk).exists()] == []


def test_a_revoked_token_stays_revoked_whatever_the_worker_believes(
    organization: Organization, time_machine: Any
) -> None:
    token = access_token_for(make_agent(organization, scopes=["agents:read", "tokens:read"]))
    own = bearer(token)
    assert own.get("/api/v1/agents").status_code == 200
    assert own.post("/api/v1/token/revoke", {"token": token}).status_code == 200
    assert own.get("/api/v1/agents").status_code == 401

    with clock_moved(time_machine, 365):
        run_job("tokens.prune")

    assert own.get("/api/v1/agents").status_code == 401


def test_a_worker_whose_clock_is_behind_deletes_what_has_expired(
    organization: Organization, time_machine: Any
) -> None:
    organization.execution_retention_days = 30
    organization.save(update_fields=["execution_retention_days"])
    expired_run(organization)
    old_revocation(organization)
    abandoned_upload(organization)
    old_snooze(organization)

    with clock_moved(time_machine, -365):
        for job in NIGHTLY:
            run_job(job)

    assert [count(organization, each) for each in (Revocation, Upload, FindingSnooze)] == [0, 0, 0]
    assert count(organization, Execution) == 1
