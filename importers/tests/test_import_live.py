"""Importing from a running deployment in separate processes: followed, killed and stopped."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path, PurePath
from typing import Any, NoReturn, Self

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from executions.file_names import folder_of
from executions.models import DeletedExecution, Execution, ExecutionFile
from importers.kodosumi import batch, importer
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.kodosumi import dump, import_folder, messages
from tests.spooler import (
    START,
    USER,
    append_rows,
    fid_of,
    open_database,
    run_rows,
    write_execution,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 30


class Child:
    """The command in a forked process, which starts without delay."""

    def __init__(
        self, data: Path, organization: Organization, *options: str, statements: int = 0
    ) -> None:
        """With `statements` the process is killed before that many have reached the database."""
        self.output = data.parent / f"output-{time.monotonic_ns()}"
        self.status: int | None = None
        connection.close()
        self.pid = os.fork()
        if not self.pid:
            self._run(
                ["import_kodosumi", str(data), "--organization", organization.slug, *options],
                statements,
            )

    def _run(self, arguments: list[str], statements: int) -> NoReturn:
        number = count(1)

        def die(execute: Any, *statement: Any) -> Any:
            if next(number) == statements:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*statement)

        code = 70
        try:
            with self.output.open("w") as output, connection.execute_wrapper(die):
                call_command(*arguments, stdout=output, stderr=output)
            code = 0
        except CommandError as error:
            code = error.returncode
        except BaseException:
            self.output.write_text(traceback.format_exc())
        finally:
            os._exit(code)

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait(self) -> tuple[int | None, str]:
        """The exit status, negative for a signal, and all output."""
        eventually(self.ended)
        return self.status, self.output.read_text() if self.output.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


def eventually(holds: Callable[[], Any]) -> Any:
    """Poll `holds` and return its first true result."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def rows_of(organization: Organization) -> dict[str, tuple[str, int]]:
    with organization_scope(organization):
        return {
            execution.fid: (execution.status, execution.last_sequence)
            for execution in Execution.objects.all()
        }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_live_deployment_is_followed_until_the_signal(data: Path, number: int) -> None:
    organization = make_organization()
    live, written, other = fid_of(1), fid_of(2), fid_of(3)
    with (
        Child(data, organization, "--watch", "--interval", "0.05") as follower,
        closing(open_database(data, live)) as database,
    ):
        rows = run_rows(9)
        append_rows(database, rows[:3])
        eventually(lambda: rows_of(organization).get(live) == ("running", 3))
        append_rows(database, rows[3:5])
        eventually(lambda: rows_of(organization).get(live) == ("running", 5))

        # Files appear and disappear beside it.
        out = data / "execution" / USER / live / "out"
        (out / "deep").mkdir(parents=True)
        (out / "deep" / "report.txt").write_text("fine")
        eventually(lambda: files_of(organization) == {"deep/report.txt": 4})
        (out / "deep" / "report.txt").write_text("finer")
        eventually(lambda: files_of(organization) == {"deep/report.txt": 5})
        (out / "deep" / "report.txt").unlink()
        eventually(lambda: files_of(organization) == {})

        # Another process writes another execution.
        spooler = [sys.executable, "-m", "tests.spooler", data, written, "500"]
        subprocess.run(spooler, cwd=PROJECT, check=True)
        eventually(lambda: rows_of(organization).get(written) == ("finished", 500))
        append_rows(database, rows[5:])
        eventually(lambda: rows_of(organization).get(live) == ("finished", 9))

        # One that ended long ago is deleted.
        folder = write_execution(data, other)
        for path in (folder / "sqlite3.db", folder):
            os.utime(path, (START, START))
        eventually(lambda: other in rows_of(organization))
        (folder / "sqlite3.db").rename(folder / "sqlite3.db.archive")
        eventually(lambda: other not in rows_of(organization))

        os.kill(follower.pid, number)
        status, output = follower.wait()

    assert status == 0
    assert "3 new" in output
    assert "problems" not in output
    assert [text for _, _, text in messages(organization, written)] == [
        text for _, _, text in run_rows(500)
    ]
    with organization_scope(organization):
        assert DeletedExecution.objects.get().fid == other
        last = AuditEvent.objects.order_by("-sequence")[0]
    assert (last.action, last.metadata["imported"]) == ("execution.import_finished", 3)


def files_of(organization: Organization) -> dict[str, int]:
    with organization_scope(organization):
        return dict(ExecutionFile.objects.values_list("path", "size"))


def test_the_writer_does_not_notice_the_import(data: Path) -> None:
    """A writer that keeps checkpointing while it is read constantly: every row arrives once."""
    organization = make_organization()
    fid = fid_of(1)
    rows = [(START + n / 100, "stdout", f"{n} " + "x" * 300) for n in range(3000)]
    with (
        Child(data, organization, "--watch", "--interval", "0.01") as follower,
        closing(open_database(data, fid)) as database,
    ):
        database.execute("PRAGMA wal_autocheckpoint = 3")
        database.execute("PRAGMA busy_timeout = 0")  # A lock of an import would cause an error.
        for n in range(0, 3000, 3):
            append_rows(database, rows[n : n + 3])
            time.sleep(0.001)
            if n % 300 == 0:
                busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                assert not busy
        eventually(lambda: rows_of(organization).get(fid) == ("starting", 3000))
        os.kill(follower.pid, signal.SIGTERM)
        assert follower.wait()[0] == 0

    assert [text for _, _, text in messages(organization, fid)] == [text for _, _, text in rows]


def test_an_import_killed_at_any_moment_continues(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "GROUP", 4)
    monkeypatch.setattr(batch, "MAX_ROWS", 50)
    whole, killed = make_organization("Whole"), make_organization("Killed")
    for number in range(10):
        folder = write_execution(data, fid_of(number), run_rows(20 + number % 3 * 100))
        (folder / "out").mkdir()
        (folder / "out" / "report.txt").write_text("fine " * 1000)
    import_folder(data, whole)

    for statements in count(1, 7):
        status, _ = Child(data, killed, statements=statements).wait()
        if status == 0:
            break
        assert status == -signal.SIGKILL

    assert without_ids(whole) == without_ids(killed)
    assert "0 new events, 0 new files" in import_folder(data, killed)
    with organization_scope(killed):
        for file in ExecutionFile.objects.all():
            with file.content.open("rb") as content:
                assert content.read() == b"fine " * 1000
            # Files stored before the kill without a row have been overwritten.
            folder = folder_of(killed.pk, file.execution_id)
            assert file.content.storage.listdir(folder) == ([], [PurePath(file.content.name).name])


def without_ids(organization: Organization) -> dict[str, Any]:
    """All rows without the columns that differ between two imports."""
    with organization_scope(organization):
        executions = Execution.objects.order_by("fid")
        return {
            "executions": [
                (row.fid, row.status, row.meta, row.final, row.end_time, row.last_sequence)
                for row in executions
            ],
            "events": [messages(organization, row.fid) for row in executions],
            "files": list(
                ExecutionFile.objects.order_by("execution__fid", "path").values_list(
                    "execution__fid", "area", "path", "size", "last_modified"
                )
            ),
        }


def test_two_imports_at_once_write_every_row_once(data: Path) -> None:
    organization = make_organization()
    for number in range(300):
        write_execution(data, fid_of(number), run_rows(20))

    with Child(data, organization) as one, Child(data, organization) as two:
        for child in (one, two):
            status, output = child.wait()
            assert status == 0, output
            assert "problems" not in output

    assert set(rows_of(organization).values()) == {("finished", 20)}
    assert len(rows_of(organization)) == 300
    before = dump(organization)
    assert "0 new events" in import_folder(data, organization)
    assert dump(organization) == before


def test_a_stopped_import_says_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "GROUP", 1)
    organization = make_organization()
    for number in range(100):
        write_execution(data, fid_of(number), run_rows(50))

    with Child(data, organization) as child:
        eventually(lambda: rows_of(organization))
        os.kill(child.pid, signal.SIGINT)
        status, output = child.wait()

    assert 0 < len(rows_of(organization)) < 100
    assert status == 130
    assert f"{len(rows_of(organization))} new" in output
    with organization_scope(organization):
        assert AuditEvent.objects.filter(action="execution.import_finished").exists()
