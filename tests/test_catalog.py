"""Nothing in the database catalog lets rows bypass row-level security.

test_isolation.py covers the policies and the composite references themselves.
"""

from typing import Any

import pytest
from django.db import connection

from core.declared_triggers import declared
from core.protection import unprotected
from organizations.tests.tables import tables_with_an_organization

GLOBALLY_UNIQUE: set[str] = set()
"""Unique indexes of tenant tables that do not begin with the organization, except primary keys."""

DEFINER_FUNCTIONS = {
    "tokens_issue_batch",
    "organizations_lock_audit_head",
    "executions_drop_partition",
    "organizations_make_partitions",
    "tokens_drop_partition",
    "organizations_move_audit_head",
}
"""Functions that run with the rights of their owner."""

TABLES = tables_with_an_organization()
PARTITIONED = {"tokens_tokenevent"}
"""Nothing refers to their rows, and their primary keys begin with the organization."""


def rows(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def columns_of(table: str) -> dict[str, bool]:
    """The columns, and whether each is NOT NULL."""
    return dict(
        rows(
            "SELECT attname, attnotnull FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
    )


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_a_tenant_names_its_organization(db: None, table: str) -> None:
    references = rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = %s::regclass",
        table,
    )

    assert columns_of(table)["organization_id"] is True
    root = "FOREIGN KEY (organization_id) REFERENCES organizations_organization(id)"
    assert [each for (each,) in references if each.startswith(root)]


@pytest.mark.parametrize("table", TABLES)
def test_no_default_guesses_an_organization(db: None, table: str) -> None:
    assert not rows(
        "SELECT 1 FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum "
        "WHERE adrelid = %s::regclass AND attname = 'organization_id'",
        table,
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_unique_value_is_unique_within_its_organization_only(db: None, table: str) -> None:
    """A global unique constraint would reveal the values of other tenants."""
    found = rows(
        "SELECT indexrelid::regclass::text, indisprimary, "
        "pg_get_indexdef(indexrelid, 1, false) FROM pg_index "
        "WHERE indrelid = %s::regclass AND indisunique",
        table,
    )

    others = {name for name, is_primary, first in found if first != "organization_id"}
    keys = {name for name, is_primary, first in found if is_primary}
    assert others - keys == GLOBALLY_UNIQUE & others
    if "id" in columns_of(table) and table not in PARTITIONED:
        assert f"{table}_organization_key" in {name for name, *_ in found}


def test_no_view_shows_rows_with_its_owners_eyes(db: None) -> None:
    views = rows(
        "SELECT relname, relkind FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind IN ('v', 'm') AND nspname = 'public' "
        "AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'"
    )

    assert views == []


def test_no_other_function_runs_with_its_owners_rights(db: None) -> None:
    functions = rows(
        "SELECT proname, proconfig FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace "
        "WHERE prosecdef AND nspname = 'public'"
    )

    assert {name for name, _ in functions} == DEFINER_FUNCTIONS
    # Names in their bodies are resolved in schemas that callers cannot change.
    assert {set_to[0] for _, set_to in functions} == {"search_path=pg_catalog, public, pg_temp"}


def test_every_table_with_an_organization_is_known_to_the_models(db: None) -> None:
    found = rows(
        "SELECT table_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND column_name = 'organization_id' "
        "AND NOT (SELECT relispartition FROM pg_class WHERE oid = table_name::regclass)"
    )

    read_before_the_tenant = {"organizations_membership", "organizations_principal"}
    assert {name for (name,) in found} == {*TABLES, *read_before_the_tenant}


@pytest.mark.parametrize("table", TABLES)
def test_a_partition_is_bound_as_its_parent_is(db: None, table: str) -> None:
    unbound = rows(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
        "WHERE inhparent = %s::regclass AND NOT (relrowsecurity AND relforcerowsecurity)",
        table,
    )

    assert unbound == []


def test_every_trigger_is_declared(db: None) -> None:
    """The start refuses a database in which one of them is missing or switched off."""
    found = rows(
        "SELECT relname, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
        "WHERE NOT tgisinternal AND relname NOT LIKE 'procrastinate%%' AND tgparentid = 0 "
        "ORDER BY 1, 2"
    )

    assert found == [(table, name) for table, name, _ in declared()]
    with connection.cursor() as cursor:
        assert unprotected(cursor) == []
