"""A migration gets all its locks or none, so that no request ends by a deadlock with it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from core.migration_locks import lock_together
from organizations.tests.blocking import until_it_waits

MODES = """
    SELECT relation::regclass::text, mode FROM pg_locks
    WHERE pid = pg_backend_pid() AND relation IN ('first_locked'::regclass, 'then_locked'::regclass)
"""


@pytest.fixture
def reader(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Somebody else in the midst of a transaction that has used the second table."""
    owner.execute("CREATE TABLE first_locked (); CREATE TABLE then_locked ()")
    owner.execute("GRANT ALL ON first_locked, then_locked TO PUBLIC")
    owner.execute("BEGIN; LOCK TABLE then_locked IN ROW EXCLUSIVE MODE")
    yield owner
    owner.execute("ROLLBACK; DROP TABLE first_locked, then_locked")


def locks(tries: int = 100) -> tuple[dict[str, str], str]:
    """The locks that it gets, and the usual patience afterwards."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            lock_together(connection, "first_locked", against_writers=("then_locked",), tries=tries)
            held = dict(cursor.execute(MODES).fetchall())
            return held, cursor.execute("SHOW lock_timeout").fetchone()[0]
    finally:
        connection.close()


def test_who_uses_the_tables_in_another_order_is_no_victim(reader: psycopg.Connection) -> None:
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(locks)
        until_it_waits(task, reader)
        reader.execute("SELECT FROM first_locked; COMMIT")
        held, patience = task.result(60)

    assert held == {
        "first_locked": "AccessExclusiveLock",
        "then_locked": "ShareRowExclusiveLock",
    }
    assert patience == "5s"


def test_it_fails_while_somebody_does_not_let_go(reader: psycopg.Connection) -> None:
    with pytest.raises(OperationalError, match="first_locked, then_locked cannot be locked"):
        locks(tries=1)
