"""The second wall alone: a statement without conditions reaches only one organization's rows.

test_python_wall.py tests the first wall alone.
"""

import pytest
from django.db import connection

from organizations.tenancy.scope import organization_scope
from tests.tenants import Tenant, tenant_tables

OPEN = {
    "organizations_membership",  # read before the organization is known, as are
    "organizations_principal",
    "organizations_organization",
}
ADDED_UP = {f"executions_{each}change" for each in ("stored", "ended", "error")}
"""Tables that every 64th of their rows empties, because it adds them up."""
WALLED = sorted(set(tenant_tables()) - OPEN)


@pytest.fixture
def filled(ours: Tenant, theirs: Tenant) -> tuple[Tenant, Tenant]:
    ours.fill()
    theirs.fill()
    return ours, theirs


def test_a_table_shows_the_rows_of_the_organization_that_was_entered(
    filled: tuple[Tenant, Tenant],
) -> None:
    for tenant in filled:
        rows = tenant.rows()
        with organization_scope(tenant.organization), connection.cursor() as cursor:
            for table in WALLED:
                assert rows[table] or table in ADDED_UP, table
                cursor.execute(f"SELECT DISTINCT organization_id FROM {table}")

                own = [(tenant.organization.pk,)] if rows[table] else []
                assert cursor.fetchall() == own, table


def test_outside_of_an_organization_a_table_is_empty(filled: tuple[Tenant, Tenant]) -> None:
    with connection.cursor() as cursor:
        for table in WALLED:
            cursor.execute(f"SELECT count(*) FROM {table}")

            assert cursor.fetchone() == (0,), table
