"""Partitions by month, as tests see and make them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
from django.db import connection

from core.partitions import make_partitions
from executions.event_log import NewEvent, append_events
from executions.models import Execution, new_execution, now
from executions.tests.factories import FINISHED
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

TOKENS, RUNS = "tokens_tokenevent", "executions_executionevent"
TABLES = (TOKENS, RUNS)
BOUNDS = """
    SELECT partition::text, nullif(since, '-infinity'), before FROM organizations_partitions(%s)
    ORDER BY coalesce(before, 'infinity')
"""
Bounds = list[tuple[str, datetime | None, datetime | None]]


def bounds(table: str) -> Bounds:
    """(name, since, before) of each partition, oldest first, the default one last."""
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, [table])
        return list(cursor.fetchall())


def month(ahead: int = 0) -> datetime:
    """The beginning of a month, as the database counts months."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        today = cursor.fetchone()[0].astimezone(UTC)
    months = today.year * 12 + today.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def name_of(table: str, at: datetime) -> str:
    return f"{table}_{at:%Y_%m}"


def id_of(at: datetime) -> UUID:
    """An id that begins with this time."""
    return UUID(int=int(at.timestamp() * 1000) << 80 | 0x7 << 76 | uuid4().int & ((1 << 76) - 1))


def make_run(organization: Organization, at: datetime) -> Execution:
    """An execution that was made at this time, with its events."""
    with organization_scope(organization):
        execution = new_execution(organization)
        execution.pk = id_of(at)
        execution.save(force_insert=True)
        events = [NewEvent(now() + seconds, "status", word) for word, seconds in FINISHED]
        return append_events(execution, events, is_strict=False)


def rows_in(owner: psycopg.Connection, partition: str) -> int:
    """The rows of all organizations."""
    with owner.transaction(force_rollback=True):
        owner.execute(f"ALTER TABLE {partition} NO FORCE ROW LEVEL SECURITY")
        return owner.execute(f"SELECT count(*) FROM {partition}").fetchone()[0]


def months_apart(owner: psycopg.Connection) -> Iterator[None]:
    """Give both tables partitions of their own for this month and the six before it."""
    made = []
    firsts = {table: bounds(table)[0] for table in TABLES}
    for table, (first, _, _) in firsts.items():
        owner.execute(f"ALTER TABLE {table} DETACH PARTITION {first}")
        for ahead in range(-6, 1):
            make = "SELECT organizations_make_partition(%s, %s::date)"
            made.append(owner.execute(make, [table, f"{month(ahead):%Y-%m-%d}"]).fetchone()[0])
    made += make_partitions()
    yield
    for name in made:
        owner.execute(f"DROP TABLE IF EXISTS {name}")
    for table, (first, _, before) in firsts.items():
        end = str(id_of(before))[:13] + "-0000-0000-000000000000" if table == RUNS else before
        owner.execute(f"DELETE FROM {table}_default")
        owner.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{end}')"
        )
