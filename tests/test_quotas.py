"""Storage limits: use is counted exactly, excess refused with a reason, deletion frees space."""

import json
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.template.defaultfilters import filesizeformat
from django.test import Client

from agents.tests.factories import make_agent
from executions import actions, quotas, retention, runner, uploads
from executions.actions import ReportedEvent
from executions.models import (
    Execution,
    ExecutionEvent,
    ExecutionFile,
    ExecutionHasEnded,
    StoredChange,
    Upload,
    now,
)
from executions.quotas import Amounts, StorageLimitReached
from executions.tests.engine import announce, append, line, post, put, report
from executions.tests.factories import (
    FAILED,
    RUNNING,
    actor_of,
    make_execution,
    make_file,
    make_upload,
)
from executions.tests.jobs import launch, run
from executions.tests.received import received_earlier
from executions.tests.threads import at_once
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization
from tests.kodosumi import REAL, import_folder


@pytest.fixture
def client(organization: Organization, client_for: Callable[..., Client]) -> Client:
    return client_for(make_agent(organization))


def held(organization: Organization) -> Amounts:
    with organization_scope(organization):
        return quotas.stored(organization)


def recount(organization: Organization) -> Amounts:
    """The amounts recomputed from the rows themselves."""
    with organization_scope(organization):
        events = ExecutionEvent.objects.all()
        files = [*ExecutionFile.objects.all(), *Upload.objects.all()]
        return Amounts(
            executions=Execution.objects.count(),
            event_bytes=quotas.size_of(events),
            file_bytes=sum(file.size + quotas.FILE_BYTES for file in files),
        )


def limit(organization: Organization, **limits: int | None) -> None:
    for name, value in limits.items():
        setattr(organization, f"max_{name}", value)
    organization.save(update_fields=[f"max_{name}" for name in limits])


@pytest.mark.parametrize("seed", range(3))
def test_the_counted_amounts_equal_a_recount(organization, other_organization, seed):
    chance = random.Random(seed)  # noqa: S311 - it has to be the same again
    agent = make_agent(organization)
    with organization_scope(organization):
        actor = actor_of(agent)
    staff = Actor.for_system(organization, "test")
    organization.execution_retention_days = 1
    make_execution(other_organization)

    def some() -> Execution:
        with organization_scope(organization):
            return chance.choice(list(Execution.objects.order_by("id")))

    def report_one() -> None:
        actions.report_execution(actor=actor, inputs={"Ä": "ö" * chance.randrange(50)})

    def append_some() -> None:
        kinds = ("stdout", "stdout", "error", "debug")
        events = [ReportedEvent(kind, "日" * chance.randrange(30)) for kind in kinds]
        actions.append(some(), events, actor=staff)

    def announce_one() -> None:
        path = f"{chance.random()}.txt"
        uploads.start_upload(some(), actor=staff, area="in", path=path, size=chance.randrange(3))

    def delete_one() -> None:
        execution = some()
        actions.delete_execution(execution, actor=staff, stop=not execution.has_ended)

    def resize() -> None:
        ExecutionFile.objects.update(size=F("size") + 7)

    works = [
        *(report_one, append_some, announce_one, delete_one, resize),
        lambda: make_file(some(), path=f"{chance.random()}", content=b"abc"),
        lambda: make_upload(make_execution(organization, RUNNING)),
        lambda: received_earlier(make_execution(organization, FAILED, start=now() - 200_000), 2),
        lambda: retention.expire(organization, batch=chance.randrange(2, 9)),
    ]
    import_folder(REAL, organization)
    for _ in range(60):
        with organization_scope(organization):
            try:
                chance.choice(works)()
            except ExecutionHasEnded:
                continue

    assert held(organization) == recount(organization)
    assert held(other_organization) == recount(other_organization)
    with organization_scope(organization):
        assert StoredChange.objects.count() < 100, "they are added up now and then"


def test_a_change_that_is_rolled_back_counts_nothing(organization):
    before = held(organization)

    with organization_scope(organization):
        make_execution(organization)
        transaction.set_rollback(True)

    assert held(organization) == before == Amounts()


def test_an_execution_too_many_is_refused_until_one_is_deleted(organization, client):
    first = report(client, executionId="first", status="queued")
    limit(organization, executions=1)

    refusal = post(client, "/api/v1/executions", {}, 409)
    assert refusal["code"] == "STORAGE_LIMIT_REACHED"
    assert refusal["message"].startswith("The organization has 1 of at most 1 executions; this")
    assert "delete executions" in refusal["message"]
    assert refusal["details"] == {"limit": "maxExecutions", "used": 1, "maximum": 1, "needed": 1}
    again = {"executionId": "first", "status": "queued"}
    assert post(client, "/api/v1/executions", again)["executionId"] == "first"
    with organization_scope(organization):
        assert Execution.objects.count() == 1

    post(client, f"{first}/stop")
    assert client.delete(first).status_code == 204
    report(client)


def test_events_too_many_are_refused_but_not_the_end(organization, client):
    url = report(client)
    limit(organization, event_bytes=held(organization).event_bytes + 500)
    append(client, url, line("a" * 300, sequence=2))

    refusal = append(client, url, line("b" * 300), status=409)
    assert refusal["code"] == "STORAGE_LIMIT_REACHED"
    assert refusal["details"]["limit"] == "maxEventBytes"
    assert refusal["details"]["needed"] == 300 + quotas.EVENT_BYTES
    again = append(client, url, line("a" * 300, sequence=2))
    assert again["duplicates"] == 1, "what is there already needs no room"
    large = {"status": "finished", "final": "c" * quotas.ENDING_BYTES}
    assert post(client, f"{url}/finish", large, 409)["code"] == "STORAGE_LIMIT_REACHED"

    ended = post(client, f"{url}/finish", {"status": "error", "error": "There is no room."})

    assert ended["status"] == "error"


def test_an_error_counts_with_its_rows_beside_the_event(organization, client):
    url = report(client)
    before = held(organization).event_bytes
    error = {"kind": "error", "message": "It broke"}

    append(client, url, error)

    counted = held(organization).event_bytes - before
    assert counted == quotas.size_of([ReportedEvent(**error)]) == 8 + quotas.ERROR_BYTES
    limit(organization, event_bytes=before + 2 * counted - 1)
    refusal = append(client, url, error, status=409)
    assert refusal["details"]["needed"] == counted
    end = {"status": "error", "error": "e" * 3900}
    assert post(client, f"{url}/finish", end)["status"] == "error", "an end needs no room"


@pytest.mark.django_db(transaction=True)
def test_errors_of_an_earlier_release_count_as_those_of_this_one(organization, client, owner):
    migration = import_module("executions.migrations.0039_errors_by_what_they_take")
    _, functions, count, _ = migration.Migration.operations
    url, error = report(client), {"kind": "error", "message": "It broke"}
    append(client, url, error)

    for text in [*functions.reverse_sql, count.reverse_sql]:
        owner.execute(text)
    earlier = held(organization).event_bytes
    append(client, url, error)
    assert held(organization).event_bytes == earlier + 8 + quotas.EVENT_BYTES
    for text in [*functions.sql, count.sql]:
        owner.execute(text)

    assert held(organization) == recount(organization)


def test_a_file_too_large_is_refused_when_it_is_announced(organization, client):
    url = report(client)
    limit(organization, file_bytes=2 * (1000 + quotas.FILE_BYTES))
    upload = announce(client, url, size=1000, path="a")
    announce(client, url, size=1000, path="b")

    refusal = post(client, f"{url}/files", {"area": "out", "path": "c", "size": 0}, 409)

    assert refusal["code"] == "STORAGE_LIMIT_REACHED"
    assert refusal["details"]["limit"] == "maxFileBytes"
    assert put(client, upload, b"x" * 1000).json()["isComplete"] is True, "it had its room"
    assert held(organization).file_bytes == recount(organization).file_bytes == 4048


def test_abandoned_uploads_free_their_space(organization, client):
    make_upload(make_execution(organization))
    assert held(organization).file_bytes > 0
    with organization_scope(organization):
        Upload.objects.update(created_at="2026-01-01T00:00:00Z")

    retention.prune_uploads(organization)

    assert held(organization).file_bytes == 0


@pytest.mark.django_db(transaction=True)
def test_many_at_once_do_not_pass_a_limit_together():
    organization = make_organization()
    with organization_scope(organization):
        actor = actor_of(make_agent(organization))
        executions = [actions.report_execution(actor=actor)[0] for _ in range(20)]
    before = held(organization)
    limit(
        organization,
        executions=25,
        event_bytes=before.event_bytes + 5 * (100 + quotas.EVENT_BYTES),
        file_bytes=5 * (100 + quotas.FILE_BYTES),
    )

    def within(work: Callable[[], Any]) -> Any:
        with organization_scope(organization):
            return work()

    def upload(execution: Execution) -> Any:
        fields = {"area": "out", "path": "a", "size": 100}
        return within(lambda: uploads.start_upload(execution, actor=actor, **fields))

    def say(execution: Execution) -> Any:
        events = [ReportedEvent("stdout", "x" * 100)]
        return within(lambda: actions.append(execution, events, actor=actor))

    def begin(_: Execution) -> Any:
        return within(lambda: actions.report_execution(actor=actor, status="queued"))

    for work in (upload, begin, say):
        answers = at_once(*(lambda each=each: work(each) for each in executions))  # noqa: B023
        wrong = [answer for answer in answers if isinstance(answer, Exception)]
        assert {type(answer) for answer in wrong} == {StorageLimitReached}
        assert len(answers) - len(wrong) == 5

    assert held(organization) == recount(organization)


def test_a_minute_has_room_for_so_many_executions_only(organization, client, settings):
    settings.EXECUTIONS_PER_MINUTE = 2
    report(client, executionId="one")
    report(client)

    refused = client.post("/api/v1/executions", {}, content_type="application/json")

    assert refused.status_code == 429
    assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    again = {"executionId": "one"}
    assert post(client, "/api/v1/executions", again)["executionId"] == "one"
    assert held(organization).executions == 2


def test_a_run_of_ours_ends_as_an_error_when_there_is_no_room(organization, monkeypatch):
    def talk(tracer: runner.Tracer) -> None:
        for _ in range(100):
            tracer.stdout("x" * 1000)

    monkeypatch.setitem(runner.JOBS, "test", runner.Job(talk, 0))
    execution = launch(organization)
    limit(organization, event_bytes=held(organization).event_bytes + 20_000)

    ended = run(execution)

    assert ended.status == "error"
    assert "StorageLimitReached" in ended.error or "events of the organization" in ended.error
    assert ended.last_sequence < 30
    with pytest.raises(StorageLimitReached):
        launch(organization, inputs={"much": "x" * 20_000})


def test_administrators_see_use_and_limits(organization, client_for, signed_in):
    limit(organization, executions=50, event_bytes=None)
    make_file(make_execution(organization), content=b"12345")
    member = make_membership(organization, Membership.Role.ADMIN)
    for gone in (make_execution(organization), make_execution(organization)):
        client_for(member).delete(f"/api/v1/executions/{gone.fid}")

    answer = client_for(member).get(f"/api/v1/organizations/{organization.public_id}/storage")
    page = signed_in(member).get("/settings").content.decode()

    amounts = held(organization)
    with organization_scope(organization):
        events = list(AuditEvent.objects.all())
    audit_bytes = sum(
        512
        + len(f"{each.user_agent}{each.actor_label}{each.target_label}".encode())
        + len(json.dumps(each.metadata, ensure_ascii=False).encode())
        for each in events
    )
    assert answer.json() == {
        "executions": {"used": 1, "limit": 50},
        "eventBytes": {"used": amounts.event_bytes, "limit": 10 * 1024**3},
        "fileBytes": {"used": 5 + quotas.FILE_BYTES, "limit": 10 * 1024**3},
        "auditEvents": 2,
        "auditBytes": audit_bytes,
        "deletedExecutions": 2,
    }
    assert "1 of 50" in page
    assert "1.0\xa0KB of 10.0\xa0GB" in page
    assert f"<dd>{filesizeformat(audit_bytes)} " in page
