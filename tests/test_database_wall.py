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
                assert len(rows[table]) > 0, table
                cursor.execute(f"SELECT DISTINCT organization_id FROM {table}")

                assert cursor.fetchall() == [(tenant.organization.pk,)], table


def test_outside_of_an_organization_a_table_is_empty(filled: tuple[Tenant, Tenant]) -> None:
    with connection.cursor() as cursor:
        for table in WALLED:
            cursor.execute(f"SELECT count(*) FROM {table}")

            assert cursor.fetchone() == (0,), table
