"""A folder written by kodosumi 1.1.0 is imported fact by fact and stays unchanged."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from executions.actions import delete_execution
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionUser,
)
from executions.tests.factories import make_execution, make_user_of
from organizations.actors import Actor
from organizations.models import AuditEvent, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tests.kodosumi import REAL, dump, import_folder, state_of

EXPECTED = json.loads((REAL.parent / "expected.json").read_text())
ABOUT_THE_SOURCE = {"flow", "wal_file", "rows_without_wal_file", "note", "database"}
"""Facts about the source for which we have no field."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the folder with file times, which version control does not keep."""
    folder = shutil.copytree(REAL, tmp_path / "data")
    for execution in EXPECTED["executions"]:
        for file in execution["files"]:
            path = folder / "execution" / execution["user_id"] / execution["fid"] / file["path"]
            os.utime(path, (file["last_modified"], file["last_modified"]))
    return folder


def facts(execution: Execution) -> dict[str, Any]:
    """The facts of the execution in the form of expected.json."""
    events = list(ExecutionEvent.objects.filter(execution=execution))
    files = list(ExecutionFile.objects.filter(execution=execution).order_by("area", "path"))
    errors = [event.message for event in events if event.kind == "error"]
    kinds = Counter(event.kind for event in events)
    words = sorted(
        (event.timestamp, event.sequence, event.message)
        for event in events
        if event.kind == "status"
    )
    times = [event.timestamp for event in events]
    assert execution.user is not None
    assert execution.end_time is not None
    return {
        "fid": execution.fid,
        "user": execution.user.name,
        "user_id": str(execution.user.external_id),
        "agent_name": execution.agent_name,
        "entry_point": execution.description.get("entry_point"),
        "status": execution.status,
        "stored_status": words[-1][2],
        "final_tag": next(iter(json.loads(execution.final))) if execution.final else None,
        "monitor_rows": len(events),
        "kinds": dict(kinds),
        "longest_message_chars": max(len(event.message) for event in events),
        "first_timestamp": execution.start_time,
        "last_timestamp": execution.end_time,
        "first_utc": _utc(execution.start_time),
        "last_utc": _utc(execution.end_time),
        "in": _area(files, "in", execution.upload_count),
        "out": _area(files, "out", execution.download_count),
        "files": [
            {
                "path": str(file),
                "size": file.size,
                "sha256": _digest(file),
                "last_modified": pytest.approx(file.last_modified, abs=1e-6),
            }
            for file in files
        ],
        "errors": ExecutionError.objects.filter(execution=execution).count(),
        "error_last_line": errors[-1].strip().splitlines()[-1] if errors else None,
        "open_locks": [] if execution.has_ended else execution.open_locks,
        "locks": kinds["lock"],
        "leases": kinds["lease"],
        "id_order_is_time_order": times == sorted(times),
    }


def _digest(file: ExecutionFile) -> str:
    with file.content.open("rb") as content:
        return hashlib.sha256(content.read()).hexdigest()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _area(files: list[ExecutionFile], area: str, top_level: int) -> dict[str, int]:
    sizes = [file.size for file in files if file.area == area]
    return {"files": len(sizes), "bytes": sum(sizes), "files_top_level": top_level}


def test_every_fact_of_every_execution(organization: Organization, data: Path) -> None:
    import_folder(data, organization)

    with organization_scope(organization):
        found = {execution.fid: facts(execution) for execution in Execution.objects.all()}
    for wanted in EXPECTED["executions"]:
        known = {key: value for key, value in wanted.items() if key not in ABOUT_THE_SOURCE}
        assert found.pop(wanted["fid"]) == known
    assert found == {}


def test_totals_users_and_nothing_of_the_deleted_one(
    organization: Organization, data: Path
) -> None:
    import_folder(data, organization)

    with organization_scope(organization):
        executions = list(Execution.objects.select_related("user"))
        files = list(ExecutionFile.objects.values_list("area", "size"))
        totals = {
            "executions": len(executions),
            "by_status": dict(Counter(execution.status for execution in executions)),
            "by_user": dict(Counter(str(execution.user) for execution in executions)),
            "monitor_rows": ExecutionEvent.objects.count(),
            "error_events": ExecutionError.objects.count(),
            "in_files": sum(area == "in" for area, _ in files),
            "out_files": sum(area == "out" for area, _ in files),
            "in_bytes": sum(size for area, size in files if area == "in"),
            "out_bytes": sum(size for area, size in files if area == "out"),
            "deleted_executions": DeletedExecution.objects.count(),
        }
        users = {
            (str(user.external_id), user.name, user.email) for user in ExecutionUser.objects.all()
        }
    assert totals == EXPECTED["totals"] | {"deleted_executions": 0}
    assert users == {(user["id"], user["name"], user["email"]) for user in EXPECTED["users"]}
    assert not User.objects.filter(email="admin@example.com").exists()


def test_events_are_what_the_databases_hold(organization: Organization, data: Path) -> None:
    import_folder(data, organization)

    details = json.loads(
        (REAL.parent / "answers/details-6b02597e6cc24976f98e3f0b.json").read_text()
    )
    with organization_scope(organization):
        execution = Execution.objects.get(fid="6b02597e6cc24976f98e3f0b")
        events = [
            {"id": event.sequence, **{name: getattr(event, name) for name in NAMES}}
            for event in ExecutionEvent.objects.filter(execution=execution)
        ]
    assert events == details["events"]
    assert execution.meta == details["metadata"]["meta"]
    assert execution.source_position == execution.last_sequence == len(events)


NAMES = ("timestamp", "kind", "message")


@pytest.mark.usefixtures("each_storage")
def test_a_second_import_changes_nothing(organization: Organization, data: Path) -> None:
    first = import_folder(data, organization)
    before = dump(organization)
    second = import_folder(data, organization)

    assert (
        "29 executions looked at: 28 new, 0 changed, 0 deleted, 0 deleted earlier. 265 new events"
        in first
    )
    assert (
        "29 executions looked at: 0 new, 0 changed, 0 deleted, 0 deleted earlier. 0 new events"
        in second
    )
    assert dump(organization) == before


def test_the_folder_stays_as_it_was(organization: Organization, data: Path) -> None:
    before = state_of(data)

    import_folder(data, organization)

    assert state_of(data) == before


def test_the_deployment_may_be_another_users_and_read_only(
    organization: Organization, data: Path
) -> None:
    folders = [data, *(path for path in data.rglob("*") if path.is_dir())]
    for path in data.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        summary = import_folder(data, organization)
    finally:
        for folder in folders:
            folder.chmod(0o755)

    assert "28 new" in summary
    assert "problems" not in summary


def test_a_user_is_linked_only_to_the_member_with_the_same_address(
    organization: Organization, other_organization: Organization, data: Path
) -> None:
    mira = make_user("Mira.Okafor@example.com")
    make_membership(organization, "viewer", mira)
    make_membership(other_organization, "viewer", make_user("jonas@example.com"))

    import_folder(data, organization)

    with organization_scope(organization):
        linked = dict(ExecutionUser.objects.values_list("name", "user__email"))
    assert linked == {"admin": None, "jonas": None, "mira": "Mira.Okafor@example.com"}


def test_an_unverified_address_links_no_member(
    organization: Organization, other_organization: Organization, data: Path
) -> None:
    claimed = make_user("jonas@example.com", email_verified_at=None)
    invited = make_user(
        "mira.okafor@example.com", email_verified_at=None, created_through=organization
    )
    for user in (claimed, invited):
        make_membership(organization, "viewer", user)

    import_folder(data, organization)

    with organization_scope(organization):
        linked = dict(ExecutionUser.objects.values_list("name", "user__email"))
    assert linked == {"admin": None, "jonas": None, "mira": "mira.okafor@example.com"}


def test_a_slug_that_several_have_asks_for_the_id(
    organization: Organization, other_organization: Organization, data: Path
) -> None:
    Organization.objects.filter(pk=other_organization.pk).update(slug=organization.slug)

    with pytest.raises(CommandError, match="2 organizations are called") as raised:
        import_folder(data, organization)
    call_command("import_kodosumi", data, organization=organization.public_id, verbosity=0)

    assert {organization.public_id, other_organization.public_id} <= set(
        re.findall(r"org-[0-9a-f-]{36}", str(raised.value))
    )


def test_a_member_who_comes_later_is_linked_and_one_who_left_is_not(
    organization: Organization, data: Path
) -> None:
    membership = make_membership(organization, "viewer", make_user("jonas@example.com"))
    import_folder(data, organization)
    membership.delete()
    make_membership(organization, "viewer", make_user("mira.okafor@example.com"))
    import_folder(data, organization)

    with organization_scope(organization):
        linked = dict(ExecutionUser.objects.values_list("name", "user__email"))
    assert linked == {"admin": None, "jonas": None, "mira": "mira.okafor@example.com"}


def test_a_role_cannot_take_a_members_place(organization: Organization, data: Path) -> None:
    victim = make_membership(
        organization, user=make_user("a@example.com", id=EXPECTED["users"][0]["id"])
    )
    known = make_user_of(victim)

    import_folder(data, organization)

    with organization_scope(organization):
        known.refresh_from_db()
    assert (known.name, str(known.user_id)) == (str(victim.user), str(victim.user_id))


@pytest.mark.usefixtures("each_storage")
def test_nothing_reaches_another_organization(
    organization: Organization, other_organization: Organization, data: Path
) -> None:
    import_folder(data, organization)

    assert not any(dump(other_organization).values())


@pytest.mark.usefixtures("each_storage")
def test_deleted_at_the_source_is_deleted_here(
    organization: Organization, data: Path, django_capture_on_commit_callbacks: Any
) -> None:
    import_folder(data, organization)
    (folder,) = data.glob("execution/*/6b0259846cc24976f98e3f0e")
    with organization_scope(organization):
        content = ExecutionFile.objects.filter(area="out")[0].content
    assert content.storage.exists(content.name)
    (folder / "sqlite3.db").rename(folder / "sqlite3.db.archive")

    with django_capture_on_commit_callbacks(execute=True):
        summary = import_folder(data, organization)

    assert "1 deleted" in summary
    with organization_scope(organization):
        assert not Execution.objects.filter(fid=folder.name).exists()
        assert not ExecutionFile.objects.filter(execution__fid=folder.name).exists()
        assert DeletedExecution.objects.get(fid=folder.name).user is not None
        assert ExecutionEvent.objects.count() == EXPECTED["totals"]["monitor_rows"] - 10
    assert not content.storage.exists(content.name)


def test_executions_deleted_here_are_not_imported_again(
    organization: Organization, data: Path
) -> None:
    import_folder(data, organization)
    before = dump(organization)
    with organization_scope(organization):
        execution = Execution.objects.get(fid="6b0259846cc24976f98e3f0e")
        actor = Actor.for_system(organization, "test")
        delete_execution(execution, actor=actor)
    left = dump(organization)

    summary = import_folder(data, organization)

    assert dump(organization) == left != before
    assert "1 deleted earlier" in summary
    assert "problems" not in summary


def test_another_execution_with_the_same_id_is_left_alone(
    organization: Organization, data: Path
) -> None:
    make_execution(organization, fid="6b0259846cc24976f98e3f0e")

    summary = import_folder(data, organization)

    assert "has the id of another execution of the organization" in summary
    with organization_scope(organization):
        assert Execution.objects.get(fid="6b0259846cc24976f98e3f0e").source == "api"


def test_the_audit_log_tells_of_each_import(organization: Organization, data: Path) -> None:
    import_folder(data, organization)

    with organization_scope(organization):
        started, finished = AuditEvent.objects.filter(action__contains="import").order_by(
            "sequence"
        )
    assert (started.action, finished.action) == (
        "execution.import_started",
        "execution.import_finished",
    )
    assert (started.actor_kind, started.actor_label) == ("system", "import_kodosumi")
    assert started.metadata == {"folder": str(data)}
    assert finished.metadata["imported"] == 28


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_only_a_folder_that_is_none_ends_the_import(
    organization: Organization, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(CommandError, match="is not the data folder of a kodosumi deployment"):
        import_folder(tmp_path / name, organization)


def test_an_unknown_organization(db: None, data: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no organization nobody\. There are: "):
        call_command("import_kodosumi", data, organization="nobody")
