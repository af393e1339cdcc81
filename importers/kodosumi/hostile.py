"""Opening a SQLite database that anyone may have written.

Nothing in the file may name another file, execute anything, or take longer to read than its size
explains.
"""

import os
import sqlite3
from itertools import repeat
from pathlib import Path

from importers.kodosumi.folders import Unreadable

MEBIBYTE = 1 << 20
MAX_JSON_BYTES = 16 * MEBIBYTE
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
PROGRESS_STEPS = 100_000
STEPS_PER_BYTE = 20
"""A cell takes at least the two bytes of its pointer, and a row less than 40 steps."""
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_JSON_BYTES,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
SETTINGS = (
    "locking_mode = EXCLUSIVE",  # The copy has a single reader and needs no -shm file.
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "query_only = ON",
    "cache_size = -2000",  # KiB. The file's header could ask for more.
)
TABLES = frozenset({"monitor", "roles", "sqlite_master"})


class Database(sqlite3.Connection):
    """A connection to a copy; `size` is that of the file and its log without holes, in bytes."""

    size = 0
    _counted = 0

    def count(self, *values: object) -> None:
        """Count the bytes of a row. Raises Unreadable if the file cannot have had that many.

        Rows of a file that was made for it share the pages of one long value, which would be stored
        once for each. Text that a file stores as UTF-16 is half as long again in UTF-8 at most.
        """
        self._counted += sum(len(value) for value in values if isinstance(value, bytes))
        if self._counted > self.size * 3 // 2:
            raise Unreadable("has rows that share their content")


def refuse_super_journal(journal: Path) -> None:
    """Raise Unreadable if SQLite would delete a file that this rollback journal names.

    A transaction across several databases ends each one's journal with the name of a file that they
    share. SQLite reads the name from the journal's end only, and deletes that file after it has
    rolled back. kodosumi's transactions have one database each.
    """
    with journal.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(JOURNAL_MAGIC)))
        if file.read() == JOURNAL_MAGIC:
            raise Unreadable("has a journal that names another file")


def prepare(database: Database, content: bytes) -> None:
    """Load the content, if there is any, and restrict the connection. Raises sqlite3.Error."""
    database.text_factory = bytes
    for limit, value in LIMITS.items():
        database.setlimit(limit, value)
    # Pages that contain each other can make even the schema endless. Between calls of the handler
    # Python handles signals.
    steps = repeat(0, STEPS_PER_BYTE * database.size // PROGRESS_STEPS + 10)
    database.set_progress_handler(lambda: next(steps, 1), PROGRESS_STEPS)
    if content:
        database.deserialize(content)
    for setting in SETTINGS:
        database.execute(f"PRAGMA {setting}")
    database.set_authorizer(_allowed)


def _allowed(
    action: int, first: str | None, second: str | None, schema: str | None, inside: str | None
) -> int:
    """Allow reading columns of our tables, and nothing that a view or a trigger adds."""
    is_plain = (
        action == sqlite3.SQLITE_SELECT
        or (action == sqlite3.SQLITE_READ and first in TABLES)
        or (action == sqlite3.SQLITE_PRAGMA and first == "table_xinfo")
    )
    return sqlite3.SQLITE_OK if is_plain and inside is None else sqlite3.SQLITE_DENY


def described(error: Exception) -> str:
    """Half a sentence about an error of SQLite."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return "takes longer to read than its size explains"
    return f"cannot be read: {error}"
