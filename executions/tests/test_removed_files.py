"""Removing files of deleted executions: obstacles do not fail the deletion, and are left alone."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob
from structlog.testing import capture_logs

from conftest import ClientFor
from executions import tasks
from executions.actions import delete_execution
from executions.actions.removal import REMOVE_FOLDERS
from executions.models import DeletedExecution, Execution
from executions.tests.factories import make_execution, make_file
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.thread_slots import slots
from organizations.tests.factories import make_membership


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def client(operator: Membership, client_for: ClientFor) -> Client:
    # Return server errors as responses, as in production.
    client = client_for(operator)
    client.raise_request_exception = False
    return client


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "letter").write_text("Dear Ada")
    return path


def folder_of(execution: Execution) -> Path:
    return Path(default_storage.path(f"executions/{execution.organization_id}/{execution.pk}"))


def put(what: str, folder: Path, outside: Path) -> None:
    """Place something that AgentIdP did not write inside an execution's folder or in its place."""
    if what == "directory":
        (folder / "a directory").mkdir()
        (folder / "a directory" / "letter").write_text("Dear Ada")
    elif what == "link to a directory":
        (folder / "link").symlink_to(outside)
    elif what == "link to a file":
        (folder / "link").symlink_to(outside / "letter")
    elif what == "link to nothing":
        (folder / "link").symlink_to(outside / "gone")
    elif what == "link in its place":
        folder.rename(outside / "moved")
        folder.symlink_to(outside / "moved")
    elif what == "file in its place":
        folder.rename(outside / "moved")
        folder.write_text("not a folder")


LINKS = ["link to a directory", "link to a file", "link to nothing"]
OBSTACLES = ["directory", "link in its place", "file in its place"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", [*LINKS, *OBSTACLES])
@pytest.mark.parametrize("address", ["/outputs/{}", "/api/v1/executions/{}"])
def test_a_deletion_that_is_committed_is_answered_as_one(
    organization: Organization, client: Client, outside: Path, what: str, address: str
) -> None:
    execution = make_execution(organization)
    make_file(execution)
    folder = folder_of(execution)
    put(what, folder, outside)
    letters = {path: path.read_text() for path in outside.rglob("*") if path.is_file()}

    with capture_logs() as logs:
        answer = client.delete(address.format(execution.fid))

    assert answer.status_code == 204
    assert client.get(f"/outputs/status/{execution.fid}").status_code == 404
    assert {path: path.read_text() for path in outside.rglob("*") if path.is_file()} == letters
    reported = [each["folder"] for each in logs if each["event"] == "files.not_removed"]
    if what in LINKS:
        assert not folder.exists()
        assert reported == []
    else:
        assert reported == [f"executions/{organization.pk}/{execution.pk}"]
    if what == "directory":
        assert [path.name for path in folder.rglob("*")] == ["a directory", "letter"]


@pytest.mark.django_db(transaction=True)
def test_failed_removals_are_retried_every_night(
    organization: Organization, other_organization: Organization, client: Client
) -> None:
    deleted, kept = make_execution(organization), make_execution(organization)
    elsewhere = make_file(make_execution(other_organization))
    files = [make_file(deleted), make_file(kept)]
    (folder_of(deleted) / "in the way").mkdir()
    foreign = folder_of(deleted).parent / "not an id"
    foreign.mkdir()
    assert client.delete(f"/outputs/{deleted.fid}").status_code == 204

    tasks.remove_left_folders(timestamp=0)
    assert (folder_of(deleted) / "in the way").is_dir(), "AgentIdP did not write it"
    (folder_of(deleted) / "in the way").rmdir()
    tasks.remove_left_folders(timestamp=0)

    assert not folder_of(deleted).exists()
    assert default_storage.exists(files[1].content.name)
    assert default_storage.exists(elsewhere.content.name)
    assert foreign.is_dir()


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_the_worker_removes_files_for_an_organization_that_keeps_threads_waiting(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that takes long would hold threads after the requests have given their places
    back."""
    execution = make_execution(organization)
    file = make_file(execution)
    monkeypatch.setattr(slots, "_half", 0)  # all that it may have is taken

    with organization_scope(organization):
        delete_execution(execution, actor=Actor.for_system(organization, "test"))

    assert default_storage.exists(file.content.name)
    [job] = ProcrastinateJob.objects.filter(
        task_name=REMOVE_FOLDERS, args__organization_id=str(organization.pk)
    )
    tasks.remove_folders(**job.args)
    assert not default_storage.exists(file.content.name)


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_files_of_a_process_that_ended_after_its_commit_go_in_the_night(
    organization: Organization,
) -> None:
    execution = make_execution(organization)
    file = make_file(execution)
    with organization_scope(organization):  # The state that such a process leaves behind.
        DeletedExecution.objects.create(
            id=execution.pk, organization=organization, fid=execution.fid
        )

    tasks.remove_left_folders(timestamp=0)

    assert not default_storage.exists(file.content.name)


def test_every_on_commit_hook_is_robust() -> None:
    """Django re-raises an exception from an on_commit function unless it is registered as
    `robust`.
    """
    called = {}
    for path in settings.BASE_DIR.rglob("*.py"):
        inside = path.relative_to(settings.BASE_DIR).parts
        if inside[0].startswith(".") or inside[0] == "node_modules" or "tests" in inside:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and _name(node.func) == "on_commit":
                robust = {word.arg: word.value for word in node.keywords}.get("robust")
                is_robust = isinstance(robust, ast.Constant) and robust.value is True
                called[f"{'/'.join(inside)}:{node.lineno}"] = is_robust

    assert called
    assert [place for place, is_robust in called.items() if not is_robust] == []


def _name(function: Any) -> str:
    return str(getattr(function, "attr", getattr(function, "id", "")))
