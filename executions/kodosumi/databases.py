"""Reads kodosumi's SQLite databases without touching them.

A database in WAL mode cannot be opened in place: even a reader writes into its -shm file, and
whoever closes last moves the -wal file into the database and deletes it. So a database is copied,
together with its -wal or -journal, and the copy is opened. No lock is taken and none is waited for.
"""

import json
import math
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from executions.kodosumi.folders import Unreadable, opened_file, reason, stamp
from executions.models import ExecutionEvent

MEBIBYTE = 1 << 20
LONGEST_TEXT = MEBIBYTE
LONGEST_JSON = 16 * MEBIBYTE
WAL_HEADER = 32
ATTEMPTS = 6
YEAR_2100 = 4_102_444_800
PLAIN = frozenset(map(str, ExecutionEvent.PLAIN))

IS_TABLE = (
    "SELECT count(*) FROM sqlite_master "
    "WHERE type = 'table' AND name = ? AND sql LIKE 'CREATE TABLE%'"
)
COLUMNS = "SELECT name, hidden FROM pragma_table_xinfo(?)"
ROWS = "SELECT id, timestamp, kind, message FROM monitor WHERE id > ? ORDER BY id"
ROW_WITHOUT_MESSAGE = "SELECT id, timestamp, kind FROM monitor WHERE id > ? ORDER BY id"


@dataclass(frozen=True)
class MonitorRow:
    """A row of `monitor`; `timestamp` is None if it holds no time that can be meant."""

    id: int
    timestamp: float | None
    kind: str
    message: str


@dataclass(frozen=True)
class Role:
    """A row of `roles`: a user of the deployment."""

    id: UUID
    name: str
    email: str


@contextmanager
def opened_copy(folder: int, name: str, workspace: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a consistent copy of the database; Unreadable if there is none to be had."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.01 * 2**attempt)
        try:
            copy = _copy(folder, name, workspace)
        except OSError as error:
            raise Unreadable(reason(error)) from None
        if copy is not None:
            break
    else:
        raise Unreadable("keeps changing while it is read")
    try:
        connection = _connect(*copy)
    except sqlite3.Error as error:
        raise Unreadable(f"cannot be read: {error}") from None
    with closing(connection):
        yield connection


def _copy(folder: int, name: str, workspace: Path) -> tuple[Path, bool] | None:
    """The copy, and whether a log lies beside it; None if the database changed meanwhile.

    New frames behind those in the -wal file do no harm: it is copied last, and SQLite ignores an
    unfinished one. What must not happen meanwhile is that the -wal file starts anew, for then
    frames are missing that the copied pages do not have yet. Its header changes when it does.
    """
    wal, journal = f"{name}-wal", f"{name}-journal"
    before = stamp(folder, name), _head(folder, wal), stamp(folder, journal)
    target = workspace / "copy.db"
    for left in workspace.iterdir():
        left.unlink()
    sizes = [found[1] for found in (before[0], stamp(folder, wal), before[2]) if found]
    if sum(sizes) > shutil.disk_usage(workspace).free // 2:
        raise Unreadable("is larger than half of the room for temporary files")
    has_log = False
    for source, suffix, is_there in (
        (name, "", True),
        (journal, "-journal", before[2] is not None),
        (wal, "-wal", bool(before[1])),
    ):
        if is_there:
            _copy_file(folder, source, Path(f"{target}{suffix}"))
            has_log |= bool(suffix)
    after = stamp(folder, name), _head(folder, wal), stamp(folder, journal)
    return (target, has_log) if before == after else None


def _copy_file(folder: int, name: str, target: Path) -> None:
    with opened_file((name,), inside=folder) as descriptor, target.open("wb") as copy:
        missing = os.fstat(descriptor).st_size
        while missing > 0 and (read := os.read(descriptor, min(missing, MEBIBYTE))):
            copy.write(read)
            missing -= len(read)


def _head(folder: int, name: str) -> tuple[int, bytes] | None:
    """Inode and header of a -wal file; None if there is nothing in it."""
    found = stamp(folder, name)
    if found is None:
        return None
    with opened_file((name,), inside=folder) as descriptor:
        header = os.read(descriptor, WAL_HEADER)
    return (found[0], header) if header else None


def _connect(copy: Path, has_log: bool) -> sqlite3.Connection:
    options = "" if has_log else "?mode=ro&immutable=1"
    connection = sqlite3.connect(f"{copy.as_uri()}{options}", uri=True, isolation_level=None)
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_JSON)
    for setting in (
        "locking_mode = EXCLUSIVE",  # Nobody else reads the copy: it needs no -shm file.
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "query_only = ON",
    ):
        connection.execute(f"PRAGMA {setting}")
    return connection


def read_monitor(connection: sqlite3.Connection, after: int) -> Iterator[MonitorRow]:
    """The rows behind number `after`, in their order. Unreadable may come behind some rows."""
    try:
        _require_table(connection, "monitor", {"id", "timestamp", "kind", "message"})
        while True:
            try:
                for key, timestamp, kind, message in connection.execute(ROWS, [after]):
                    after = _next_id(key, after)
                    yield _row(after, timestamp, kind, message)
                return
            except sqlite3.DatabaseError:
                # A message is longer than we let in, or here the damage begins. Python's cursor
                # reads one row ahead: the row before the bad one is not out yet.
                row = _one_row(connection, after)
            after = row.id
            yield row
    except sqlite3.Error as error:
        raise Unreadable(f"cannot be read: {error}") from None


def _require_table(connection: sqlite3.Connection, name: str, wanted: set[str]) -> set[str]:
    """Its columns, if it is an ordinary table that has at least the wanted ones.

    To read stored columns of an ordinary table runs nothing that the file says: no view, no
    computed column, no module of a virtual table.
    """
    columns = set()
    if connection.execute(IS_TABLE, [name]).fetchone()[0]:
        found = connection.execute(COLUMNS, [name]).fetchall()
        columns = {_text(column) for column, hidden in found if not hidden}
    if not columns >= wanted:
        raise Unreadable(f"has no table {name} as kodosumi writes it")
    return columns


def _next_id(key: Any, after: int) -> int:
    # In a damaged tree the order may break, and a loop would never end.
    if not isinstance(key, int) or key <= after:
        raise sqlite3.DatabaseError("its rows are out of order")
    return key


def _one_row(connection: sqlite3.Connection, after: int) -> MonitorRow:
    """The next row, however long its message."""
    try:
        found = connection.execute(f"{ROWS} LIMIT 1", [after]).fetchone()
        message, size = found and found[3], 0
    except sqlite3.DataError:
        found = connection.execute(f"{ROW_WITHOUT_MESSAGE} LIMIT 1", [after]).fetchone()
        with connection.blobopen("monitor", "message", found[0], readonly=True) as blob:
            message, size = blob.read(LONGEST_JSON), len(blob)
    if found is None:
        raise sqlite3.DatabaseError("its rows are out of order")
    return _row(_next_id(found[0], after), found[1], found[2], message, size)


def _row(key: int, timestamp: Any, kind: Any, message: Any, size: int = 0) -> MonitorRow:
    word = _text(kind)[:32]
    return MonitorRow(key, _time(timestamp), word, _message(word, message, size))


def _time(value: Any) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < YEAR_2100 else None


def _message(kind: str, value: Any, size: int) -> str:
    """All of it, or its beginning and how much is missing: `size` is that of the whole."""
    if not isinstance(value, bytes):
        return _text(value)
    size = size or len(value)
    if size <= (LONGEST_TEXT if kind in PLAIN else LONGEST_JSON):
        return _text(value)
    # A character may be cut in two at the end.
    shown = value[:LONGEST_TEXT].decode(errors="ignore").replace("\0", "\ufffd")
    shown += f"\n[left out by the import: {size - LONGEST_TEXT:,} more bytes]"
    return shown if kind in PLAIN else json.dumps({"Text": {"body": shown}}, ensure_ascii=False)


def _text(value: Any) -> str:
    """PostgreSQL takes neither NUL nor what is not UTF-8."""
    if value is None:
        return ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "\ufffd")


def read_roles(connection: sqlite3.Connection) -> Iterator[Role]:
    """The users. Older and newer versions may lack every column but the id."""
    try:
        columns = _require_table(connection, "roles", {"id"})
        wanted: Sequence[str] = [
            name if name in columns else "NULL" for name in ("id", "name", "email")
        ]
        # The names are our own three, never the file's.
        for key, name, email in connection.execute(f"SELECT {', '.join(wanted)} FROM roles"):  # noqa: S608
            try:
                found = UUID(bytes=key) if len(key) == 16 else UUID(_text(key))
            except (TypeError, ValueError):
                continue
            yield Role(found, _text(name)[:150].strip() or str(found), _text(email).strip())
    except sqlite3.Error as error:
        raise Unreadable(f"cannot be read: {error}") from None
