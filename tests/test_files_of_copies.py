"""A database removes no file that another one may need: its copy on the same server, or itself
before it was recovered to an earlier moment. Whatever an upload left that was killed, it removes.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction
from structlog.testing import capture_logs

from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries
from agentidp.env import env
from core.database_roles import as_owner
from executions.file_storage import execution_files
from executions.models import Execution, ExecutionFile
from executions.tests.factories import RUNNING, make_execution
from executions.unnamed_files import remove_unnamed_files
from executions.uploads import start_upload
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.live.deployment import migrated_cluster, new_folder

NOW = timedelta(0)


def upload(execution: Execution, path: str, *, fails: bool = False) -> str:
    """The name of the uploaded file. If the upload `fails`, at the commit, the file has no row."""
    organization = execution.organization
    actor = Actor.for_system(organization, "test")
    with organization_scope(organization):
        arrived, _ = start_upload(execution, actor=actor, area="out", path=path, size=0)
        name = ExecutionFile.objects.get(pk=arrived.upload_id).content.name
        transaction.set_rollback(fails)
    assert default_storage.exists(name)
    return str(name)


def night() -> list[dict[str, Any]]:
    """What the log says about files that no row names, after they are removed."""
    with capture_logs() as logs:
        remove_unnamed_files(age=NOW)
    return [{**line} for line in logs if line["event"] == "files.of_no_row"]


def names(*files: str) -> list[str]:
    return [name for name in files if default_storage.exists(name)]


@contextmanager
def connected(**parameters: Any) -> Iterator[None]:
    """Django uses another database inside."""
    connection.close()
    usual = {name: connection.settings_dict[name] for name in parameters}
    connection.settings_dict.update(parameters)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(usual)


@contextmanager
def copied() -> Iterator[str]:
    """A copy of the database as it is now, on the same server."""
    with as_owner(connection):
        parameters = connection.get_connection_params()
    names = ("user", "host", "port", "password")
    access = {name: parameters[name] for name in names if parameters.get(name)}
    connection.close()
    with psycopg.connect(dbname="postgres", autocommit=True, **access) as server:
        server.execute(f'CREATE DATABASE staging TEMPLATE "{parameters["dbname"]}"')
        try:
            yield "staging"
        finally:
            server.execute("DROP DATABASE staging WITH (FORCE)")


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_a_copy_on_the_same_storage_removes_only_what_it_made(organization: Organization) -> None:
    execution = make_execution(organization, RUNNING)
    with copied() as copy:
        kept = upload(execution, "report.txt")
        left = upload(execution, "lost.txt", fails=True)
        with connected(NAME=copy):
            left_by_copy = upload(execution, "lost.txt", fails=True)
            [line] = night()

        assert names(kept, left, left_by_copy) == [kept, left]
        assert (line["number"], line["example"]) == (2, min(kept, left))
        assert night() == []
        assert names(kept, left) == [kept]


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_what_an_upload_left_that_was_killed_goes_at_night(organization: Organization) -> None:
    execution = make_execution(organization, RUNNING)
    kept = upload(execution, "report.txt")
    connection.close()
    child = os.fork()
    if not child:
        die_when_the_file_is_saved(execution)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL

    [left] = {file.name for _, file in execution_files(organization.pk)} - {kept}
    assert remove_unnamed_files(age=timedelta(days=1)) == 0, "its row may still come"
    assert remove_unnamed_files(age=NOW) == 1
    assert names(kept, left) == [kept]


def die_when_the_file_is_saved(execution: Execution) -> NoReturn:
    def die(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith('INSERT INTO "executions_executionfile"'):
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, *more)

    try:
        with connection.execute_wrapper(die):
            upload(execution, "lost.txt")
    finally:
        os._exit(70)


@pytest.mark.usefixtures("each_storage")
@pytest.mark.django_db(transaction=True)
def test_what_was_uploaded_before_the_table_was_restored_in_place_stays(
    organization: Organization, owner: psycopg.Connection
) -> None:
    execution = make_execution(organization, RUNNING)
    before = upload(execution, "report.txt")

    owner.execute("TRUNCATE executions_executionfile")  # as it was before the upload
    left = upload(execution, "lost.txt", fails=True)
    night()

    assert names(before, left) == [before]


@pytest.mark.slow
@pytest.mark.usefixtures("each_storage")
def test_what_was_uploaded_after_the_moment_of_a_recovery_stays(
    django_db_blocker: Any,
) -> None:
    """The data folder is copied, and has the same identifier, timeline and numbers."""
    with (
        migrated_cluster(durable=True) as one,
        new_folder() as root,
        django_db_blocker.unblock(),
    ):
        with connected(**address_of(one)):
            execution = make_execution(make_organization(), RUNNING)
        one.stop()
        two = Cluster(Path(root), find_binaries(), durable=True)
        subprocess.run(["cp", "--archive", one.data, two.data], check=True)
        one.start()
        with connected(**address_of(one)):
            kept = upload(execution, "report.txt")
        two.start()
        try:
            with connected(**address_of(two)):
                left = upload(execution, "lost.txt", fails=True)
                night()
        finally:
            two.stop()

        assert names(kept, left) == [kept]
        with connected(**address_of(one)):
            assert night() == []
        assert names(kept) == [kept]


def address_of(cluster: Cluster) -> dict[str, Any]:
    found = env.db_url_config(cluster.url)
    options = settings.DATABASES["default"]["OPTIONS"] | found.get("OPTIONS", {})
    return {name: found[name] for name in ("NAME", "USER", "HOST", "PORT")} | {"OPTIONS": options}
