"""Hostile content in an imported folder, which anyone who runs flows can write, does no harm and
does not prevent the rest from being imported.
"""

import json
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from executions.models import (
    Execution,
    ExecutionError,
)
from importers.kodosumi import batch
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tests.kodosumi import import_folder, messages
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


def replace_database(folder: Path) -> Path:
    database = folder / "sqlite3.db"
    database.unlink()
    return database


def empty_file(folder: Path) -> None:
    replace_database(folder).touch()


def text_file(folder: Path) -> None:
    replace_database(folder).write_text("no database at all\n" * 1000)


def cut_after_the_first_page(folder: Path) -> None:
    os.truncate(folder / "sqlite3.db", 4096)


def broken_header(folder: Path) -> None:
    with (folder / "sqlite3.db").open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 40)


def symbolic_link(folder: Path) -> None:
    other = folder.parent / GOOD / "sqlite3.db"
    replace_database(folder).symlink_to(other)


def named_pipe(folder: Path) -> None:
    os.mkfifo(replace_database(folder))


def pipe_as_log(folder: Path) -> None:
    os.mkfifo(folder / "sqlite3.db-wal")


def link_as_log(folder: Path) -> None:
    (folder / "sqlite3.db-wal").symlink_to("/etc/passwd")


def a_folder(folder: Path) -> None:
    replace_database(folder).mkdir()


def a_socket(folder: Path) -> None:
    path = replace_database(folder)
    # A Unix socket's path must be short.
    before = Path.cwd()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


def four_tebibytes(folder: Path) -> None:
    os.truncate(folder / "sqlite3.db", 4 << 40)


def with_schema(*statements: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with closing(sqlite3.connect(replace_database(folder))) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return write


ENDLESS = """
    WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
    SELECT id, 1.0 AS timestamp, 'stdout' AS kind, zeroblob(1000000) AS message FROM n
"""
BAD_DATABASES = {
    "empty": empty_file,
    "text": text_file,
    "cut": cut_after_the_first_page,
    "broken header": broken_header,
    "symbolic link": symbolic_link,
    "named pipe": named_pipe,
    "named pipe as log": pipe_as_log,
    "symbolic link as log": link_as_log,
    "folder": a_folder,
    "socket": a_socket,
    "four tebibytes": four_tebibytes,
    "no table": with_schema("CREATE TABLE other (id INTEGER)"),
    "other columns": with_schema("CREATE TABLE monitor (id INTEGER PRIMARY KEY, kind, message)"),
    "view": with_schema(f"CREATE VIEW monitor AS {ENDLESS}"),
    "virtual table": with_schema(
        "CREATE VIRTUAL TABLE monitor USING fts5(id, timestamp, kind, message)"
    ),
    "computed columns": with_schema(
        "CREATE TABLE monitor (id INTEGER PRIMARY KEY, timestamp REAL, kind TEXT, "
        "message AS (hex(zeroblob(100000000))))",
        "INSERT INTO monitor (timestamp, kind) VALUES (1, 'stdout')",
    ),
    "ids that are none": with_schema(
        "CREATE TABLE monitor (id TEXT, timestamp REAL, kind TEXT, message TEXT)",
        "INSERT INTO monitor VALUES ('one', 1, 'stdout', 'x')",
    ),
    "schema that is none": with_schema(
        "CREATE TABLE monitor (id INTEGER PRIMARY KEY, timestamp, kind, message)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE monitor (id, id'",
    ),
    "schema whose error is no text": with_schema(
        "CREATE TABLE monitor (id INTEGER PRIMARY KEY, timestamp, kind, message)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET name = CAST(x'aaff' AS TEXT), sql = 'CREATE TABLE monitor (id'",
    ),
}


@pytest.mark.parametrize("spoil", BAD_DATABASES.values(), ids=list(BAD_DATABASES))
def test_a_bad_database_is_named_and_the_others_are_imported(
    organization: Organization, data: Path, spoil: Callable[[Path], None]
) -> None:
    write_execution(data, GOOD)
    spoil(write_execution(data, BAD))
    before = os.lstat(data / "execution" / USER / BAD)

    summary = import_folder(data, organization)

    assert "2 executions looked at: 1 new" in summary
    assert "1 problem:" in summary
    assert f"\n  execution/{USER}/{BAD}/sqlite3.db " in summary
    assert len(messages(organization, GOOD)) == 6
    with organization_scope(organization):
        assert not Execution.objects.filter(fid=BAD).exists()
    assert os.lstat(data / "execution" / USER / BAD) == before


def test_a_damaged_database_gives_the_rows_before_the_damage_and_later_the_rest(
    organization: Organization, data: Path
) -> None:
    rows = run_rows(2000)
    folder = write_execution(data, GOOD, rows)
    whole = (folder / "sqlite3.db").read_bytes()
    with (folder / "sqlite3.db").open("r+b") as file:
        file.seek(len(whole) // 4096 // 2 * 4096)
        file.write(b"\xff" * 4096)

    summary = import_folder(data, organization)
    some = messages(organization, GOOD)
    (folder / "sqlite3.db").write_bytes(whole)
    rest = import_folder(data, organization)

    assert "database disk image is malformed" in summary
    assert 0 < len(some) < 2000
    assert "problems" not in rest
    assert messages(organization, GOOD) == [
        (n, kind, message) for n, (_, kind, message) in enumerate(rows, 1)
    ]


LOOSE = "CREATE TABLE monitor (id INTEGER PRIMARY KEY, timestamp, kind, message)"


def test_values_of_every_type_become_text_and_times(organization: Organization, data: Path) -> None:
    rows = [
        (START, "status", "running"),
        (float("inf"), "stdout", "at no time"),
        (-1.0, "stdout", b"\x00\xff\xed\xa0\x80"),
        ("soon", "stdout", None),
        (None, None, 17),
        (1e300, "k" * 5000, 0.5),
        (START * 1000, "std\x00out", "a\x00b"),
        (b"\x01", b"stderr", "ä"),
        (int(START) + 9, "status", "finished"),
    ]
    write_execution(data, GOOD, rows, table=LOOSE)

    summary = import_folder(data, organization)

    assert f"{GOOD}/sqlite3.db has 7 rows without a usable time" in summary
    assert messages(organization, GOOD) == [
        (1, "status", "running"),
        (2, "stdout", "at no time"),
        (3, "stdout", "\ufffd" * 5),
        (4, "stdout", ""),
        (5, "", "17"),
        (6, "k" * 32, "0.5"),
        (7, "std\ufffdout", "a\ufffdb"),
        (8, "stderr", "ä"),
        (9, "status", "finished"),
    ]
    with organization_scope(organization):
        execution = Execution.objects.get()
    assert (execution.start_time, execution.end_time) == (START, int(START) + 9)
    assert execution.status == "finished"


def test_json_that_postgresql_refuses(organization: Organization, data: Path) -> None:
    name = r"Weekly\u0000 \ud800report"
    rows = [
        (START, "meta", f'{{"dict": {{"summary": "{name}", "n": NaN, "tags": ["\\u0000"]}}}}'),
        (START, "inputs", '{"dict": ' + "[" * 50_000),
        (START, "lock", r'{"dict": {"lid": "\u0000one"}}'),
        (START, "error", r'{"error": "a\u0000b", "type": "\ud83d"}'),
        (START, "error", "Traceback (most recent call last):\n" + "A" * 500_000 + "!"),
        (START, "error", "Traceback (most recent call last):\n" + "Long" * 5_000 + ": x"),
        (START, "final", r'{"Text": {"body": "\u0000"}}'),
        (START, "status", "error"),
    ]
    write_execution(data, GOOD, rows)

    summary = import_folder(data, organization)

    assert "problems" not in summary
    with organization_scope(organization):
        execution = Execution.objects.get()
        errors = ExecutionError.objects.order_by("sequence").values_list("message", flat=True)
        assert [message[:5] for message in errors] == ["a\ufffdb", "The e", "…: x"]
    assert execution.agent_name == "Weekly\ufffd \ufffdreport"
    assert execution.meta["dict"]["n"] is None
    assert (execution.inputs, execution.open_locks) == (None, ["\ufffdone"])
    assert execution.final == r'{"Text": {"body": "\u0000"}}'


def test_long_messages_are_cut_where_one_sees_it(organization: Organization, data: Path) -> None:
    mebibyte = 1 << 20
    rows = [
        (START, "stdout", "x" * mebibyte),
        (START, "stdout", "ä" * (5 * mebibyte)),
        (START, "stdout", "x" + "ä" * (10 * mebibyte)),
        (START, "result", '{"Text": {"body": "' + "y" * (10 * mebibyte) + '"}}'),
        (START, "final", '{"Text": {"body": "' + "z" * (20 * mebibyte) + '"}}'),
        (START, "stdout", 17),
        (START, "k" * 1000, "w" * (20 * mebibyte)),
        (START, "stdout", "the end"),
    ]
    write_execution(data, GOOD, rows, table=LOOSE)

    summary = import_folder(data, organization)

    assert "problems" not in summary
    whole, cut, longer, result, final, number, unknown, end = (
        text for _, _, text in messages(organization, GOOD)
    )
    assert whole == rows[0][2]
    assert cut == "ä" * (mebibyte // 2) + "\n[left out by the import: 9,437,184 more bytes]"
    assert longer.startswith("xää")
    assert longer.endswith("ä\n[left out by the import: 19,922,945 more bytes]")
    assert result == rows[3][2]
    assert json.loads(final)["Text"]["body"].endswith("more bytes]")
    assert len(final) < 1.1 * mebibyte
    assert (number, end) == ("17", "the end")
    assert len(unknown) < 1.1 * mebibyte


def test_gaps_in_the_ids_leave_none_in_the_sequence(organization: Organization, data: Path) -> None:
    with closing(open_database(data, GOOD)) as database:
        append_rows(database, run_rows(10))
        database.execute("DELETE FROM monitor WHERE id IN (2, 5, 6)")
        database.execute("UPDATE monitor SET id = 9000000000000000000 WHERE id = 10")

    import_folder(data, organization)

    assert [sequence for sequence, _, _ in messages(organization, GOOD)] == list(range(1, 8))
    with organization_scope(organization):
        execution = Execution.objects.get()
    assert (execution.source_position, execution.last_sequence) == (9000000000000000000, 7)


def test_more_rows_than_fit_into_a_transaction(
    organization: Organization, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_ROWS", 150)
    rows = run_rows(1000)
    for number in (1, 2, 3):
        write_execution(data, fid_of(number), rows)

    summary = import_folder(data, organization)

    assert "3,000 new events" in summary
    for number in (1, 2, 3):
        assert [text for _, _, text in messages(organization, fid_of(number))] == [
            text for _, _, text in rows
        ]
    with organization_scope(organization):
        assert set(Execution.objects.values_list("status", "last_sequence")) == {("finished", 1000)}


def test_triggers_and_functions_in_the_schema_do_nothing(
    organization: Organization, data: Path
) -> None:
    with closing(open_database(data, GOOD)) as database:
        append_rows(database, run_rows())
        database.execute("CREATE TABLE other (id)")
        database.execute(
            "CREATE TRIGGER monitor_t AFTER INSERT ON monitor BEGIN DELETE FROM monitor; END"
        )
        database.execute("CREATE INDEX slow ON monitor (length(hex(message)))")
        database.execute("CREATE VIEW seen AS SELECT load_extension('x')")

    summary = import_folder(data, organization)

    assert "problems" not in summary
    assert len(messages(organization, GOOD)) == 6
