"""Executions expire according to their organization's retention, in small steps."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from agents.tests.factories import make_agent
from executions import retention, tasks
from executions.event_log import NewEvent, append_events
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionEvent,
    Upload,
    UploadPart,
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
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tests.kodosumi import REAL, import_folder

DAY = 24 * 3600


def keep(organization: Organization, days: int | None) -> None:
    organization.execution_retention_days = days
    organization.save(update_fields=["execution_retention_days"])


def aged(organization: Organization, days: float, statuses=FINISHED, **fields) -> Execution:
    """An execution that began so many days ago, and was reported then."""
    made = make_execution(organization, statuses, start=now() - days * DAY, **fields)
    return received_earlier(made, days)


def left(organization: Organization) -> set[str]:
    with organization_scope(organization):
        return set(Execution.objects.values_list("fid", flat=True))


@pytest.mark.usefixtures("each_storage")
def test_only_executions_that_ended_long_ago_are_deleted(
    organization, other_organization, django_capture_on_commit_callbacks
):
    keep(organization, 30)
    old = aged(organization, 31, FAILED, events=[NewEvent(1.0, "error", "It broke.")])
    file = make_file(old)
    kept = {aged(organization, 29).fid, aged(organization, 40, RUNNING).fid}
    elsewhere = aged(other_organization, 400)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.expire_executions(timestamp=0)

    assert left(organization) == kept
    assert left(other_organization) == {elsewhere.fid}
    assert not default_storage.exists(file.content.name)
    with organization_scope(organization):
        assert DeletedExecution.objects.get().fid == old.fid
        event = AuditEvent.objects.latest("sequence")
        assert (event.action, event.metadata) == (
            "execution.expired",
            {"executions": 1, "days": 30},
        )


def test_an_execution_that_went_on_is_as_old_as_its_end(organization):
    keep(organization, 30)
    long = aged(organization, 40, [("running", 0), ("finished", 20 * DAY)])

    retention.expire(organization)

    assert left(organization) == {long.fid}


@pytest.mark.parametrize("start", [1.0, now() - 400 * DAY])
def test_an_execution_reported_today_is_kept_whatever_its_engine_says_about_the_time(
    organization, client_for, start
):
    keep(organization, 30)
    old = aged(organization, 31)
    client = client_for(make_agent(organization))
    body = {"executionId": "run-1", "startedAt": datetime.fromtimestamp(start, UTC).isoformat()}
    client.post("/api/v1/executions", body, content_type="application/json")
    times = (("running", start), ("finished", start + 1))
    events = [{"kind": "status", "message": word, "timestamp": at} for word, at in times]
    answer = client.post(
        "/api/v1/executions/run-1/events", {"events": events}, content_type="application/json"
    )
    assert answer.status_code == 200, answer.content
    with organization_scope(organization):
        reported = Execution.objects.get(fid="run-1")
    assert reported.end_time == start + 1

    assert retention.expire(organization) == 1
    assert left(organization) == {"run-1"}, f"{old.fid} is gone"

    received_earlier(reported, 31)
    assert retention.expire(organization) == 1
    assert left(organization) == set()


def test_an_execution_received_long_ago_that_goes_on_is_as_new_as_its_last_event(organization):
    keep(organization, 30)
    execution = aged(organization, 40, RUNNING)
    end = NewEvent(execution.start_time + 10, "status", "finished")
    with organization_scope(organization):
        assert append_events(execution, [end], is_strict=False).has_ended

    retention.expire(organization)

    assert left(organization) == {execution.fid}


def test_expired_executions_are_not_imported_again(organization):
    import_folder(REAL, organization)
    fids = left(organization)
    keep(organization, 30)
    ended = {fid for fid in fids if fid not in still_going(organization)}
    with organization_scope(organization):
        Execution.objects.update(start_time=1.0, end_time=2.0)
        imported = list(Execution.objects.all())
    retention.expire(organization)
    assert left(organization) == fids, "they were imported today"
    for execution in imported:
        received_earlier(execution, 31)

    retention.expire(organization)
    import_folder(REAL, organization)

    assert left(organization) == fids - ended
    assert len(ended) > 20


def still_going(organization: Organization) -> set[str]:
    with organization_scope(organization):
        going = Execution.objects.exclude(status__in=Execution.FINAL)
        return set(going.values_list("fid", flat=True))


def test_no_transaction_deletes_more_than_its_batch(organization, monkeypatch):
    keep(organization, 1)
    for _ in range(3):
        lines = [NewEvent(now() - 3 * DAY, "stdout", str(n)) for n in range(12)]
        aged(organization, 3, events=lines)
    deleted = []
    some = retention._expire_some

    def counted(*arguments):
        with organization_scope(organization):
            before = ExecutionEvent.objects.count() + Execution.objects.count()
            result = some(*arguments)
            deleted.append(before - ExecutionEvent.objects.count() - Execution.objects.count())
        return result

    monkeypatch.setattr(retention, "_expire_some", counted)

    assert retention.expire(organization, batch=20) == 3

    assert sum(deleted) == 3 * (15 + 1)
    assert 15 < max(deleted) <= 20
    assert left(organization) == set()


def test_without_a_retention_everything_is_kept(organization):
    old = aged(organization, 3000)

    tasks.expire_executions(timestamp=0)
    assert left(organization) == {old.fid}


def test_abandoned_uploads_are_deleted(organization):
    execution = make_execution(organization, RUNNING)
    stale, fresh = make_upload(execution), make_upload(execution)
    with organization_scope(organization):
        Upload.objects.filter(pk=stale.pk).update(created_at=timezone.now() - timedelta(days=3))
        for offset in range(10, 17):
            UploadPart.objects.create(
                organization=organization, upload=stale, offset=offset, content=b"x"
            )

    assert retention.prune_uploads(organization, batch=3) == 1

    with organization_scope(organization):
        assert Upload.objects.get() == fresh
        assert UploadPart.objects.get().upload_id == fresh.pk


def test_administrators_set_how_long_executions_are_kept(organization, client_for, signed_in):
    admin = make_membership(organization, "admin")
    url = f"/api/v1/organizations/{organization.public_id}"

    answer = client_for(admin).patch(
        url, {"executionRetentionDays": 90}, content_type="application/json"
    )

    assert answer.json()["executionRetentionDays"] == 90
    page = signed_in(admin).get("/settings").content.decode()
    assert 'name="execution_retention_days" value="90"' in page
    for wrong in (0, -1, 3651, 1.5, "x"):
        refused = client_for(admin).patch(
            url, {"executionRetentionDays": wrong}, content_type="application/json"
        )
        assert refused.status_code == 400
    answer = client_for(admin).patch(
        url, {"executionRetentionDays": None}, content_type="application/json"
    )
    assert answer.json()["executionRetentionDays"] is None
