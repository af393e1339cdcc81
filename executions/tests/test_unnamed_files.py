"""Files that no row names: a request that fails leaves none, and the worker removes the others."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from agents.tests.factories import make_agent
from conftest import ClientFor
from core.ids import uuid7
from executions import tasks, unnamed_files
from executions.file_names import name_of
from executions.file_storage import execution_files, removing_saved_files_on_error, save_file
from executions.models import Execution, ExecutionFile, Upload
from executions.tests.engine import announce, put, report
from executions.tests.factories import RUNNING, make_execution, make_file
from executions.unnamed_files import remove_unnamed_files
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits

CONTENT = b"0123456789"
LOCK = "LOCK TABLE executions_executionfile IN EXCLUSIVE MODE"
NOW = timedelta(0)


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_agent(organization))


def stored(organization: Organization) -> list[str]:
    return [file.name for _, file in execution_files(organization.pk)]


def saved(execution: Execution) -> str:
    """A file as a process leaves it that ends before it has saved the row."""
    name = name_of(execution.organization_id, execution.pk, uuid7())
    return str(default_storage.save(name, ContentFile(b"?")))


def age(name: str, days: float) -> None:
    then = timezone.now().timestamp() - days * 24 * 3600
    os.utime(default_storage.path(name), (then, then))


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [10, 0])
def test_an_upload_whose_agent_loses_its_rights_meanwhile_leaves_no_file(
    organization: Organization, client: Client, owner: psycopg.Connection, size: int
) -> None:
    url = report(client)
    upload = announce(client, url) if size else ""
    empty = {"area": "out", "path": "empty.txt", "size": 0}

    def complete() -> Any:
        try:
            if size:
                return put(client, upload, CONTENT)
            return client.post(f"{url}/files", empty, content_type="application/json")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(LOCK)
            answer = pool.submit(complete)
            until_it_waits(answer, owner)
            assert len(stored(organization)) == 1, "it is saved, and its row is not"
            owner.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
            )
            owner.execute("UPDATE agents_agent SET status = 'suspended'")
        status = answer.result().status_code

    assert status == 403
    assert stored(organization) == []
    with organization_scope(organization):
        assert not ExecutionFile.objects.exists()
        assert Upload.objects.count() == (1 if size else 0)


@removing_saved_files_on_error()
def fail_after_saving(name: str) -> None:
    save_file(name, ContentFile(b"?"))
    raise DatabaseError


@pytest.mark.usefixtures("each_storage")
def test_a_failed_attempt_removes_no_file_of_another_one(organization: Organization) -> None:
    folder = f"executions/{organization.pk}/{make_execution(organization, RUNNING).pk}"
    kept = save_file(f"{folder}/kept", ContentFile(b"?"))

    with pytest.raises(DatabaseError):
        fail_after_saving(f"{folder}/removed")

    assert stored(organization) == [kept]


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_files_without_rows_are_removed_at_night_and_no_others(
    organization: Organization, other_organization: Organization
) -> None:
    execution, elsewhere = make_execution(organization), make_execution(other_organization)
    kept = [make_file(each).content.name for each in (execution, elsewhere)]
    left = [saved(execution), saved(execution), saved(elsewhere)]
    foreign = default_storage.save(
        f"executions/{organization.pk}/not-an-id/letter", ContentFile(b"?")
    )

    assert remove_unnamed_files(age=timedelta(days=1)) == 0, "their rows may still come"
    assert remove_unnamed_files(age=NOW, batch=2) == 3

    assert [name for name in left if default_storage.exists(name)] == []
    assert all(default_storage.exists(name) for name in [*kept, foreign])


@pytest.mark.django_db(transaction=True)
def test_only_files_older_than_a_day_are_removed(organization: Organization) -> None:
    execution = make_execution(organization)
    old, new = saved(execution), saved(execution)
    age(old, days=1.1)
    age(new, days=0.9)

    tasks.remove_unnamed_files(timestamp=0)

    assert stored(organization) == [new]


@pytest.mark.django_db(transaction=True)
def test_a_night_removes_a_limited_number(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unnamed_files, "MAX_REMOVED", 2)
    for _ in range(5):
        saved(make_execution(organization))

    assert [remove_unnamed_files(age=NOW, batch=1) for _ in range(3)] == [2, 2, 1]


def test_a_file_that_an_import_saves_anew_meanwhile_is_kept(organization: Organization) -> None:
    name = saved(make_execution(organization))

    assert not unnamed_files._remove_old(name, timezone.now() - timedelta(minutes=1))

    assert default_storage.exists(name)


@pytest.mark.django_db(transaction=True)
def test_an_execution_in_use_keeps_its_files_until_the_next_night(
    organization: Organization, owner: psycopg.Connection
) -> None:
    """It may be about to save the row."""
    execution = make_execution(organization, RUNNING)
    saved(execution)

    with owner.transaction():
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)])
        owner.execute(
            "SELECT FROM executions_execution WHERE id = %s FOR UPDATE", [str(execution.pk)]
        )
        assert remove_unnamed_files(age=NOW) == 0

    assert remove_unnamed_files(age=NOW) == 1


def test_links_and_folders_inside_are_no_files(organization: Organization) -> None:
    execution = make_execution(organization)
    name = saved(execution)
    folder = os.path.dirname(default_storage.path(name))
    os.symlink(default_storage.path(name), os.path.join(folder, "link"))
    os.mkdir(os.path.join(folder, "folder"))
    os.symlink(folder, os.path.join(os.path.dirname(folder), str(organization.pk)))

    assert stored(organization) == [name]
