"""Databases that are being written, have another kind of journal, or are not begun yet."""

from contextlib import closing
from pathlib import Path

import pytest

from executions.models import (
    DeletedExecution,
    Execution,
)
from importers.kodosumi import databases
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tests.kodosumi import import_folder, messages, state_of
from tests.spooler import (
    START,
    USER,
    append_rows,
    fid_of,
    open_database,
    run_rows,
    write_execution,
)

GOOD, BAD = fid_of(1), fid_of(2)


def test_an_open_transaction_is_not_read_and_not_waited_for(
    organization: Organization, data: Path
) -> None:
    with closing(open_database(data, GOOD)) as database:
        append_rows(database, run_rows()[:3])
        database.execute("BEGIN EXCLUSIVE")
        database.execute("INSERT INTO monitor VALUES (4, 1.0, 'stdout', 'half')")
        summary = import_folder(data, organization)
        database.execute("ROLLBACK")

    assert "problems" not in summary
    assert len(messages(organization, GOOD)) == 3


@pytest.mark.parametrize("journal", ["delete", "truncate", "persist"])
def test_databases_with_an_older_kind_of_journal(
    organization: Organization, data: Path, journal: str
) -> None:
    with closing(open_database(data, GOOD, journal=journal)) as database:
        append_rows(database, run_rows()[:3])
        # Uncommitted changes are written to the file early.
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN EXCLUSIVE")
        database.executemany(
            "INSERT INTO monitor (timestamp, kind, message) VALUES (?, 'stdout', ?)",
            [(START, "x" * 3000) for _ in range(50)],
        )
        before = state_of(data)
        assert (data / "execution" / USER / GOOD / "sqlite3.db-journal").stat().st_size
        summary = import_folder(data, organization)
        after = state_of(data)
        database.execute("ROLLBACK")

    assert "problems" not in summary
    assert len(messages(organization, GOOD)) == 3
    assert after == before


def test_a_log_that_restarts_while_it_is_copied(
    organization: Organization, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copied database lacks what the old log held, and the restarted log does not contain
    it.
    """
    copied = []

    def copy(folder: int, name: str, target: Path) -> int:
        size = copy_file(folder, name, target)
        if name == "sqlite3.db" and name not in copied:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            append_rows(database, run_rows(50)[6:])
        copied.append(name)
        return size

    copy_file = databases._copy_file
    with closing(open_database(data, GOOD)) as database:
        append_rows(database, run_rows(50)[:6])
        monkeypatch.setattr(databases, "_copy_file", copy)
        import_folder(data, organization)

    assert copied == ["sqlite3.db", "sqlite3.db-wal", "sqlite3.db", "sqlite3.db-wal"]
    assert [text for _, _, text in messages(organization, GOOD)] == [
        text for _, _, text in run_rows(50)
    ]


def test_a_database_that_never_rests(
    organization: Organization, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(folder: int, name: str, target: Path) -> int:
        size = copy_file(folder, name, target)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        append_rows(database, [(START, "stdout", "more")])
        return size

    copy_file = databases._copy_file
    write_execution(data, BAD)
    with closing(open_database(data, GOOD)) as database:
        append_rows(database, run_rows(50))
        monkeypatch.setattr(databases, "_copy_file", copy)
        summary = import_folder(data, organization)

    assert f"{GOOD}/sqlite3.db keeps changing while it is read" in summary
    assert len(messages(organization, BAD)) == 6


def test_an_execution_before_its_first_row(organization: Organization, data: Path) -> None:
    write_execution(data, GOOD, [])
    (data / "execution" / USER / BAD / "in").mkdir(parents=True)  # Launched, but not started yet.

    summary = import_folder(data, organization)

    assert "problems" not in summary
    with organization_scope(organization):
        execution = Execution.objects.get()
    assert (execution.status, execution.agent_name) == ("starting", "Unknown")
    assert (execution.start_time, execution.end_time) == (int(START), None)
    assert execution.last_sequence == 0


def test_the_older_name_of_the_database(organization: Organization, data: Path) -> None:
    folder = write_execution(data, GOOD)
    (folder / "sqlite3.db").rename(folder / "db.sqlite")
    gone = write_execution(data, BAD)
    import_folder(data, organization)
    (gone / "sqlite3.db").rename(gone / "db.sqlite.archive")

    import_folder(data, organization)

    with organization_scope(organization):
        assert Execution.objects.get().fid == GOOD
        assert DeletedExecution.objects.get().fid == BAD
