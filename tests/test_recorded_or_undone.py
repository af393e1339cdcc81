"""A change that cannot be recorded in the audit log is rolled back."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import ProgrammingError, connection

from tests.calls import bearer_of
from tests.endpoint import Endpoint
from tests.endpoints import BEARER
from tests.tenants import Tenant

ADMINISTERED = ("agents:write", "admin:orgs")
RECORDED = [
    each
    for each in BEARER
    # The table's example of a PUT repeats the current state, which changes nothing.
    if each.method not in {"GET", "PUT"} and each.role and set(each.scopes) & set(ADMINISTERED)
]


@pytest.fixture
def closed_log(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection of the owner, who can forbid the application to write to the log."""
    yield owner
    owner.execute(f"GRANT INSERT ON organizations_auditevent TO {connection.settings_dict['USER']}")


@pytest.mark.parametrize("endpoint", RECORDED, ids=str)
def test_a_change_without_its_record_is_undone(
    endpoint: Endpoint, closed_log: psycopg.Connection
) -> None:
    tenant = Tenant("northwind")
    client, ids = bearer_of(endpoint, tenant), endpoint.ids(tenant)
    body = endpoint.body(tenant) if endpoint.body else None
    before = tenant.rows()
    role = connection.settings_dict["USER"]
    closed_log.execute(f"REVOKE INSERT ON organizations_auditevent FROM {role}")

    with pytest.raises(ProgrammingError, match="permission denied for table organizations_audit"):
        client.generic(
            endpoint.method,
            endpoint.path.format(**ids),
            client._encode_json(body, "application/json"),
            "application/json",
        )

    assert tenant.rows() == before
