"""Databases crafted byte by byte: they name other files, never end, or are larger than they are."""

import os
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from importers.kodosumi.databases import _copy_file, opened_copy
from importers.kodosumi.hostile import JOURNAL_MAGIC
from organizations.models import Organization
from tests.kodosumi import import_folder, messages
from tests.spooler import fid_of, write_execution

GOOD, BAD = fid_of(1), fid_of(2)
PAGE = 4096
INTERIOR, LEAF = 5, 13
ROWS_IN_COMMON = 200


def varint(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def length_of_varint(data: bytes) -> int:
    return next(place for place, byte in enumerate(data, 1) if byte < 0x80)


def page(kind: int, cells: Sequence[bytes], last: int = 0, *, start: int = 0) -> bytes:
    """A page of a B-tree; `last` is the rightmost child of an interior one. Page 1 starts at 100,
    after the file's header."""
    pointers, content, end = b"", b"", PAGE
    for cell in cells:
        end -= len(cell)
        content = cell + content
        pointers += struct.pack(">H", end)
    head = struct.pack(">BHHHB", kind, 0, len(cells), end, 0)
    head += struct.pack(">I", last) if kind == INTERIOR else b""
    return (head + pointers).ljust(PAGE - start - len(content), b"\0") + content


def cells_of(data: bytes, *, start: int = 0) -> list[bytes]:
    """The cells of a leaf whose rows have no overflow pages."""
    count = struct.unpack_from(">H", data, start + 3)[0]
    cells = []
    for place in struct.unpack_from(f">{count}H", data, start + 8):
        size = length_of_varint(data[place:])
        key = length_of_varint(data[place + size :])
        payload = int.from_bytes(data[place : place + 1]) if size == 1 else 0
        if size == 2:
            payload = (data[place] & 0x7F) << 7 | data[place + 1]
        cells.append(data[place : place + size + key + payload])
    return cells


def with_size(data: bytes) -> bytes:
    """The file with its number of pages in its header."""
    return data[:28] + struct.pack(">I", len(data) // PAGE) + data[32:]


def journal_that_names(victim: Path, database: Path) -> bytes:
    """A rollback journal without any page, as the end of a transaction across databases leaves
    it."""
    pages = database.stat().st_size // PAGE
    head = JOURNAL_MAGIC + struct.pack(">IIIII", 0, 1, pages, 512, PAGE)
    name = os.fsencode(victim)
    return (
        head.ljust(512, b"\0")
        + struct.pack(">I", 0x40000000 // PAGE + 1)
        + name
        + struct.pack(">II", len(name), sum(name))
        + JOURNAL_MAGIC
    )


@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_no_journal_deletes_a_file(
    organization: Organization, data: Path, tmp_path: Path, is_pipe: bool
) -> None:
    """SQLite deletes the file that a journal names, and waits for ever to open a pipe."""
    victim = tmp_path / "victim"
    os.mkfifo(victim) if is_pipe else victim.write_text("of somebody else")
    write_execution(data, GOOD)
    database = write_execution(data, BAD) / "sqlite3.db"
    for path in (database, data / "admin.db"):
        path.with_name(f"{path.name}-journal").write_bytes(journal_that_names(victim, path))

    summary = import_folder(data, organization)

    assert victim.exists()
    assert f"{BAD}/sqlite3.db has a journal that names another file" in summary
    assert "admin.db has a journal that names another file" in summary
    assert messages(organization, BAD) == []
    assert len(messages(organization, GOOD)) == 6


def test_rows_that_share_one_long_message(organization: Organization, data: Path) -> None:
    write_execution(data, GOOD)
    database = write_execution(data, BAD, [(1.0, "result", "x" * 100_000)]) / "sqlite3.db"
    content = database.read_bytes()
    with closing(sqlite3.connect(database)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master").fetchone()[0]
    leaf = content[(root - 1) * PAGE : root * PAGE]
    start = struct.unpack_from(">H", leaf, 8)[0]
    size = length_of_varint(leaf[start:])
    rest = leaf[start + size + 1 :]  # the number of row 1 is one byte
    cells = [
        leaf[start : start + size] + varint(number) + rest for number in range(1, ROWS_IN_COMMON)
    ]
    first = len(content) // PAGE + 1
    leaves = [page(LEAF, cells[at : at + 1]) for at in range(len(cells))]
    children = [struct.pack(">I", first + at) + varint(at + 1) for at in range(len(leaves) - 1)]
    top = page(INTERIOR, children, first + len(leaves) - 1)
    content = content[: (root - 1) * PAGE] + top + content[root * PAGE :] + b"".join(leaves)
    database.write_bytes(with_size(content))

    summary = import_folder(data, organization)

    assert f"{BAD}/sqlite3.db has rows that share their content" in summary
    read = sum(len(text) for _, _, text in messages(organization, BAD))
    assert 100_000 < read <= 1.5 * len(content)
    assert len(messages(organization, GOOD)) == 6


def test_a_schema_without_end(organization: Organization, data: Path) -> None:
    """Each page of the schema's B-tree names the next one two hundred times."""
    write_execution(data, GOOD)
    database = write_execution(data, BAD) / "sqlite3.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE other (name UNIQUE)")
        connection.commit()
    content = database.read_bytes()
    cells = cells_of(content[:PAGE], start=100)
    again = [cell for cell in cells if b"autoindex" in cell]
    first = len(content) // PAGE + 1
    pages = [page(LEAF, cells), page(LEAF, again)]
    for number in range(first + 1, first + 9):
        pages.append(page(INTERIOR, [struct.pack(">I", number) + varint(99)] * 200, number))
    top = page(INTERIOR, [struct.pack(">I", first) + varint(9)], first + len(pages) - 1, start=100)
    database.write_bytes(with_size(content[:100] + top + content[PAGE:] + b"".join(pages)))

    summary = import_folder(data, organization)

    assert f"{BAD}/sqlite3.db takes longer to read than its size explains" in summary
    assert len(messages(organization, GOOD)) == 6


def test_a_virtual_table_in_the_place_of_a_function(organization: Organization, data: Path) -> None:
    """Modules of virtual tables are never run on what the file holds for them."""
    database = write_execution(data, GOOD) / "sqlite3.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE monitor ADD COLUMN later")
        connection.execute("CREATE VIRTUAL TABLE pragma_table_xinfo USING fts5 (x)")
        connection.commit()

    summary = import_folder(data, organization)

    assert "problems" not in summary
    assert len(messages(organization, GOOD)) == 6


def test_rows_that_would_have_to_be_sorted(organization: Organization, data: Path) -> None:
    """Sorting copies every message to a temporary file before the first row is out."""
    plain = "CREATE TABLE monitor (id INTEGER, timestamp REAL, kind TEXT, message TEXT)"
    database = write_execution(data, BAD) / "sqlite3.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript(f"DROP TABLE monitor; {plain};")
        connection.execute("INSERT INTO monitor VALUES (1, 1.0, 'status', 'running')")

    summary = import_folder(data, organization)

    assert f"{BAD}/sqlite3.db has no table monitor as kodosumi writes it" in summary


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{other}' AS other",
        "VACUUM INTO '{other}'",
        "SELECT load_extension('x')",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
        "SELECT name FROM pragma_database_list",
        "SELECT * FROM seen",
        "DELETE FROM monitor",
        "PRAGMA journal_mode = DELETE",
    ],
)
def test_the_connection_reads_our_tables_and_does_nothing_else(
    data: Path, tmp_path: Path, statement: str
) -> None:
    database = write_execution(data, GOOD) / "sqlite3.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE VIEW seen AS SELECT message FROM monitor")
    folder = os.open(database.parent, os.O_RDONLY)

    try:
        with (
            opened_copy(folder, "sqlite3.db", tmp_path) as copy,
            pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited|denied"),
        ):
            copy.execute(statement.format(other=tmp_path / "other"))
    finally:
        os.close(folder)

    assert not (tmp_path / "other").exists()


def test_a_file_of_holes_takes_no_more_room_and_time_than_it_has_content(
    data: Path, tmp_path: Path
) -> None:
    database = write_execution(data, GOOD) / "sqlite3.db"
    content = database.stat().st_size
    os.truncate(database, 1 << 30)
    with database.open("r+b") as file:
        file.seek(1 << 29)
        file.write(b"x" * PAGE)
    folder = os.open(database.parent, os.O_RDONLY)

    try:
        size = _copy_file(folder, "sqlite3.db", tmp_path / "copy")
    finally:
        os.close(folder)

    copy = tmp_path / "copy"
    assert size == content + PAGE
    assert copy.stat().st_size == 1 << 30
    assert copy.stat().st_blocks * 512 <= 2 * size + (1 << 16)
    with copy.open("rb") as copied, database.open("rb") as source:
        assert copied.read(content) == source.read(content)
        copied.seek(1 << 29)
        assert copied.read(PAGE + 1) == b"x" * PAGE + b"\0"
