"""Reading kodosumi's SQLite databases without changing them.

A database in WAL mode cannot be opened in place: even a reader writes to its -shm file, and the
last one to close it moves the -wal file into the database and deletes it. So the database is copied
together with its -wal or -journal, and the copy is opened; a small file without either is opened in
memory. No lock is taken or waited for.
"""

import errno
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
from typing import Any, NamedTuple
from uuid import UUID

from core.days import unix_seconds
from executions.models import ExecutionEvent
from importers.kodosumi.folders import Unreadable, opened_file, reason, stamp
from importers.kodosumi.hostile import (
    MAX_JSON_BYTES,
    MEBIBYTE,
    Database,
    described,
    prepare,
    refuse_super_journal,
)

MAX_TEXT_BYTES = MEBIBYTE
IN_MEMORY = 4 * MEBIBYTE
WAL_HEADER = 32
VERSIONS = slice(18, 20)
ATTEMPTS = 6
YEAR_2100 = 4_102_444_800
PLAIN = frozenset(map(str, ExecutionEvent.PLAIN))

DAMAGE = (sqlite3.Error, UnicodeError)
"""Errors raised when reading a damaged database. UnicodeError is among them because Python
decodes SQLite's error messages, which quote content and column names.
"""

TABLE = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
MONITOR = (
    "CREATE TABLE monitor ( id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, "
    "kind TEXT NOT NULL, message TEXT NOT NULL )"
)
"""The table as kodosumi creates it, apart from white space."""
AFTER = "FROM monitor NOT INDEXED WHERE id > ? ORDER BY id"
"""Without indexes, which might leave the rows to be sorted, the first after all others are read."""
ROWS = f"SELECT id, timestamp, kind, message {AFTER}"
ROW_WITHOUT_MESSAGE = f"SELECT id, timestamp, kind {AFTER}"


class MonitorRow(NamedTuple):
    """A row of `monitor`; `timestamp` is None if it holds no valid time."""

    id: int
    timestamp: float | None
    kind: str
    message: str


class Role(NamedTuple):
    """A row of `roles`: a user of the deployment."""

    id: UUID
    name: str
    email: str


@dataclass(frozen=True)
class Copy:
    """A copy of a database: either all of its `content`, or the `address` at which SQLite opens
    it. `size` is that of all copied files without their holes, in bytes.
    """

    address: str
    size: int
    content: bytes = b""


@contextmanager
def opened_copy(folder: int, name: str, workspace: Path) -> Iterator[Database]:
    """Open a consistent copy of the database; raises Unreadable if none can be made."""
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
    with closing(
        sqlite3.connect(copy.address, uri=True, isolation_level=None, factory=Database)
    ) as database:
        database.size = copy.size
        try:
            prepare(database, copy.content)
        except DAMAGE as error:
            raise Unreadable(described(error)) from None
        yield database


def _copy(folder: int, name: str, workspace: Path) -> Copy | None:
    """Copy the database; None if it changed in the meantime.

    Frames appended to the -wal file are harmless: it is copied last, and SQLite ignores an
    incomplete one. A -wal file that was restarted is not, because the frames it dropped are missing
    from the pages copied before. Its header changes in that case.
    """

    def state() -> tuple[object, ...]:
        return stamp(folder, name), _head(folder, wal), stamp(folder, journal)

    wal, journal = f"{name}-wal", f"{name}-journal"
    before = state()
    logs = [log for log, there in zip((wal, journal), before[1:], strict=True) if there]
    size = sum(found[1] for path in (name, *logs) if (found := stamp(folder, path)))
    if not logs and size <= IN_MEMORY:
        content = _read(folder, name)
        copy = Copy(":memory:", len(content), content)
    else:
        copy = _copy_files(folder, name, logs, size, workspace)
    return copy if before == state() else None


def _copy_files(folder: int, name: str, logs: Sequence[str], size: int, workspace: Path) -> Copy:
    for left in workspace.iterdir():
        left.unlink()
    if size > shutil.disk_usage(workspace).free // 2:
        raise Unreadable("is larger than half of the room for temporary files")
    copied = 0
    for path in (name, *sorted(logs)):  # The -wal file must be copied last.
        copied += _copy_file(folder, path, workspace / path)
        if path.endswith("-journal"):
            refuse_super_journal(workspace / path)
    mode = "mode=rw" if logs else "mode=ro&immutable=1"
    return Copy(f"{(workspace / name).as_uri()}?{mode}", copied)


def _copy_file(folder: int, name: str, target: Path) -> int:
    """Copy the file, and its holes as holes: they cost whoever made it nothing. Return the number
    of bytes beside them.
    """
    copied = 0
    with opened_file((name,), inside=folder) as descriptor, target.open("wb") as copy:
        size = os.fstat(descriptor).st_size
        for start, end in _data(descriptor, size):
            os.lseek(descriptor, start, os.SEEK_SET)
            copy.seek(start)
            missing = end - start
            while missing > 0 and (read := os.read(descriptor, min(missing, MEBIBYTE))):
                copied += copy.write(read)
                missing -= len(read)
        copy.truncate(size)
    return copied


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The beginning and end of each piece between the holes of an open file."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, end


def _read(folder: int, name: str) -> bytes:
    with opened_file((name,), inside=folder) as descriptor:
        # One that has grown since is not read twice: its stamp differs.
        content = bytearray(os.read(descriptor, IN_MEMORY))
    # A database in memory has no log, so the header's two version bytes must not require WAL.
    content[VERSIONS] = bytes(min(version, 1) for version in content[VERSIONS])
    return bytes(content)


def _head(folder: int, name: str) -> tuple[int, bytes] | None:
    """The inode and header of the -wal file; None if it is empty."""
    found = stamp(folder, name)
    if found is None:
        return None
    with opened_file((name,), inside=folder) as descriptor:
        header = os.read(descriptor, WAL_HEADER)
    return (found[0], header) if header else None


def read_monitor(database: Database, after: int) -> Iterator[MonitorRow]:
    """Yield the rows after number `after`, in order. May raise Unreadable after some rows."""
    try:
        _require_monitor(database)
        while True:
            try:
                for key, *values in database.execute(ROWS, [after]):
                    after = _next_id(key, after)
                    database.count(*values)
                    yield _row(after, *values)
                return
            except (sqlite3.DatabaseError, UnicodeError):
                # A message is longer than we let in, or here the damage begins. Python's cursor
                # reads one row ahead: the row before the bad one is not out yet.
                row = _one_row(database, after)
            after = row.id
            yield row
    except DAMAGE as error:
        raise Unreadable(described(error)) from None


def _require_monitor(database: Database) -> None:
    found = database.execute(TABLE, ["monitor"]).fetchone()
    if found and " ".join(_text(found[0]).split()) == MONITOR:
        return  # The usual case. Querying the columns takes as long as reading twenty rows.
    wanted = {"id", "timestamp", "kind", "message"}
    if not _columns(database, "monitor") >= wanted or _sorts(database, ROWS):
        raise Unreadable("has no table monitor as kodosumi writes it")


def _columns(database: Database, name: str) -> set[str]:
    """The columns of an ordinary table; empty if there is no such table.

    Reading stored columns of an ordinary table executes nothing from the file: no view, no
    generated column, no module of a virtual table. `name` is never taken from the file.
    """
    for (text,) in database.execute(TABLE, [name]):
        if _text(text).startswith("CREATE TABLE"):
            # Not as a table-valued function, in whose place the file can have a virtual table.
            found = database.execute(f"PRAGMA main.table_xinfo({name})")
            return {_text(column) for _, column, *_, hidden in found if not hidden}
    return set()


def _sorts(database: Database, query: str) -> bool:
    """Whether SQLite would read all rows and sort them before the first one is out."""
    plan = database.execute(f"EXPLAIN QUERY PLAN {query}", [0])
    return any(b"TEMP B-TREE" in step for *_, step in plan)


def _next_id(key: Any, after: int) -> int:
    # In a damaged B-tree the order may be wrong, and the loop might never end.
    if not isinstance(key, int) or key <= after:
        raise sqlite3.DatabaseError("its rows are out of order")
    return key


def _one_row(database: Database, after: int) -> MonitorRow:
    """The next row, even if its message is very long."""
    try:
        found = database.execute(f"{ROWS} LIMIT 1", [after]).fetchone()
        message, size = found and found[3], 0
    except (sqlite3.DataError, UnicodeError):
        found = database.execute(f"{ROW_WITHOUT_MESSAGE} LIMIT 1", [after]).fetchone()
        with database.blobopen("monitor", "message", found[0], readonly=True) as blob:
            message, size = blob.read(MAX_JSON_BYTES), len(blob)
    if found is None:
        raise sqlite3.DatabaseError("its rows are out of order")
    key, timestamp, kind = found[:3]
    database.count(timestamp, kind, message)
    return _row(_next_id(key, after), timestamp, kind, message, size)


def _row(key: int, timestamp: Any, kind: Any, message: Any, size: int = 0) -> MonitorRow:
    """A row with sanitized values of any types; `size` is the full length of a partial message."""
    word = _text(kind)[:32]
    return MonitorRow(key, _time(timestamp), word, _message(word, message, size))


def _time(value: Any) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return unix_seconds(value) if 0 <= value < YEAR_2100 else None


def _message(kind: str, value: Any, size: int) -> str:
    """The whole message, or its beginning and how much is missing; `size` is the full length."""
    if not isinstance(value, bytes):
        return _text(value)
    size = size or len(value)
    if size <= (MAX_TEXT_BYTES if kind in PLAIN else MAX_JSON_BYTES):
        return _text(value)
    # The last character may be incomplete.
    shown = value[:MAX_TEXT_BYTES].decode(errors="ignore").replace("\0", "\ufffd")
    shown += f"\n[left out by the import: {size - MAX_TEXT_BYTES:,} more bytes]"
    return shown if kind in PLAIN else json.dumps({"Text": {"body": shown}}, ensure_ascii=False)


def _text(value: Any) -> str:
    """The value as text that PostgreSQL accepts: valid UTF-8 without NUL."""
    if value is None:
        return ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "\ufffd")


def read_roles(database: Database) -> Iterator[Role]:
    """Yield the users. Any column but the id may be missing in older and newer versions."""
    try:
        columns = _columns(database, "roles")
        if "id" not in columns:
            raise Unreadable("has no table roles as kodosumi writes it")
        wanted: Sequence[str] = [
            name if name in columns else "NULL" for name in ("id", "name", "email")
        ]
        # The three names are constants here, never taken from the file.
        for key, name, email in database.execute(f"SELECT {', '.join(wanted)} FROM roles"):  # noqa: S608
            database.count(key, name, email)
            try:
                found = UUID(bytes=key) if len(key) == 16 else UUID(_text(key))
            except (TypeError, ValueError):
                continue
            yield Role(found, _text(name)[:150].strip() or str(found), _text(email).strip())
    except DAMAGE as error:
        raise Unreadable(described(error)) from None
