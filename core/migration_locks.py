"""Locks for a migration that changes several tables while requests use them.

A migration that locks one table after the other ends by a deadlock, or ends a request by one, as
soon as a request uses the same tables in another order. PostgreSQL looks for deadlocks after a
second of waiting; until then all locks are there, or are given back.
"""

import time

from django.db import OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import LockNotAvailable

TRIES = 100
PAUSE_SECONDS = 0.5
"""So that whoever waited meanwhile has a turn."""
FIRST_MS = 600
OTHERS_MS = 300
"""How long it waits for the first table, and for all others together."""


def lock_together(
    connection: BaseDatabaseWrapper,
    *tables: str,
    against_writers: tuple[str, ...] = (),
    tries: int = TRIES,
) -> None:
    """Lock all tables for the rest of the transaction: nobody else reads or writes them, or only
    writes those of `against_writers`.

    First comes the table that every transaction uses which uses the others: once it is locked, they
    are hardly used any more. It fails where a transaction that uses them does not end for some two
    minutes, as that of a backup.
    """
    locks = [(table, "ACCESS EXCLUSIVE") for table in tables]
    locks += [(table, "SHARE ROW EXCLUSIVE") for table in against_writers]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (usual,) = cursor.fetchone()
        for left in reversed(range(tries)):
            try:
                with transaction.atomic(using=connection.alias):
                    within = FIRST_MS
                    for table, mode in locks:
                        cursor.execute(f"SET LOCAL lock_timeout = {within}")
                        cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
                        within = OTHERS_MS // max(len(locks) - 1, 1)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if not left:
                    names = ", ".join(table for table, _ in locks)
                    message = f"{names} cannot be locked."
                    raise OperationalError(message) from error
                time.sleep(PAUSE_SECONDS)
            else:
                break
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])
