"""Writes a data folder as kodosumi does. Without Django: a process of its own starts quickly.

python -m tests.spooler DATA FID ROWS    one execution of so many rows, in tens
"""

import json
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

START = 1_795_316_076.7659645
USER = "0b6e6b0e-0d2c-4a53-9e53-0f5b4b0f1a11"
TABLE = """
            CREATE TABLE IF NOT EXISTS monitor (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                timestamp REAL NOT NULL,
                kind TEXT NOT NULL,
                message TEXT NOT NULL
            )
"""
Row = tuple[Any, ...]


def run_rows(count: int = 6, start: float = START) -> list[Row]:
    """Timestamp, kind and message of the rows of a complete run of this length."""
    meta = {"summary": "Weekly report", "entry_point": "report:build"}
    before = [("status", "starting"), ("meta", json.dumps({"dict": meta})), ("status", "running")]
    after = [("final", '{"Markdown":{"body":"done"}}'), ("status", "finished")]
    said = [("stdout", f"line {n}") for n in range(count - 5)]
    rows = enumerate([*before, *said, *after])
    return [(start + n / 8, kind, message) for n, (kind, message) in rows]


def new_data(folder: Path) -> Path:
    """A data folder without executions; its user has a role."""
    (folder / "execution").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "admin.db")) as database:
        database.execute("CREATE TABLE roles (id CHAR(32), name VARCHAR, email VARCHAR)")
        database.execute(
            "INSERT INTO roles VALUES (?, 'ada', 'ada@example.com')", [USER.replace("-", "")]
        )
        database.commit()
    return folder


def fid_of(number: int) -> str:
    """An id as kodosumi makes them: the time in seconds, followed by a unique part."""
    return f"{int(START):08x}{number:016x}"


def open_database(
    data: Path, fid: str, *, user: str = USER, table: str = TABLE, journal: str = "wal"
) -> sqlite3.Connection:
    """Create the database of a new execution as kodosumi's spooler does."""
    folder = data / "execution" / user / fid
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "sqlite3.db", isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {journal}")
    # Kodosumi uses "normal", which writes the same bytes but is slower.
    database.execute("PRAGMA synchronous = off")
    database.execute(table)
    return database


def append_rows(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Append some rows in one transaction, as the spooler does."""
    database.execute("BEGIN")
    database.executemany("INSERT INTO monitor (timestamp, kind, message) VALUES (?, ?, ?)", rows)
    database.execute("COMMIT")


def write_execution(
    data: Path, fid: str | None = None, rows: Iterable[Row] | None = None, **options: Any
) -> Path:
    """Write an ended execution with a closed database; return its folder."""
    fid = fid or fid_of(1)
    with closing(open_database(data, fid, **options)) as database:
        append_rows(database, run_rows() if rows is None else rows)
    return data / "execution" / options.get("user", USER) / fid


if __name__ == "__main__":
    data, fid, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rows = run_rows(count)
    with closing(open_database(data, fid)) as database:
        for first in range(0, count, 10):
            append_rows(database, rows[first : first + 10])
