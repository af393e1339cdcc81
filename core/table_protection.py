"""Finds and closes tables that show more than one organization's rows."""

from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from core.database_roles import OURS, OWNER_POLICY, OWNER_POLICY_TABLES, READ_BEFORE_THE_TENANT

OPEN_TABLES = f"""
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_attribute ON attrelid = c.oid AND attname = 'organization_id' AND NOT attisdropped
    WHERE relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)
    AND relname <> ALL (%s) AND {OURS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""
WITHOUT_OWNER_POLICY = f"""
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT EXISTS (
        SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = %s
        AND polroles = ARRAY[relowner])
    AND relname = ANY (%s) AND {OURS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""


def close_open_tables(connection: BaseDatabaseWrapper) -> None:
    """Let tables of tenants show only one organization's rows. Run as the owner.

    Their migrations do that. This is for one that somebody opened by hand.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for (table,) in _fetch_all(cursor, OPEN_TABLES, [list(READ_BEFORE_THE_TENANT)]):
            named = sql.Identifier(table)
            for words in ("ENABLE", "FORCE"):
                statement = f"ALTER TABLE {{}} {words} ROW LEVEL SECURITY"
                cursor.execute(sql.SQL(statement).format(named))


def unprotected(cursor: CursorWrapper) -> list[str]:
    """What `migrate` left open because it was interrupted, as sentences without a full stop."""
    open_tables = [
        f"The table {table} shows every organization's rows"
        for (table,) in _fetch_all(cursor, OPEN_TABLES, [list(READ_BEFORE_THE_TENANT)])
    ]
    closed_tables = [
        f"The table {table} has no policy {OWNER_POLICY} for its owner"
        for (table,) in _fetch_all(
            cursor, WITHOUT_OWNER_POLICY, [OWNER_POLICY, list(OWNER_POLICY_TABLES)]
        )
    ]
    return open_tables + closed_tables


def _fetch_all(cursor: CursorWrapper, query: str, values: list[Any]) -> list[Any]:
    cursor.execute(query, values)
    return list(cursor.fetchall())
