"""What takes long is done before it is recorded. Whoever records keeps the audit log of the
organization until the transaction ends, and signing in and refusing a client wait for it in threads
that serve everybody."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection
from django.test import Client

from conftest import ClientFor
from executions.tests.factories import RUNNING, make_execution
from organizations.audit.log import lock_head
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import HEAD, until_it_waits
from organizations.tests.factories import make_membership
from tokens.examples import NEW_RESOURCE


def delete_run(client: Client, organization: Organization) -> int:
    fid = make_execution(organization).fid
    return client.delete(f"/api/v1/executions/{fid}").status_code


def delete_live_runs(client: Client, organization: Organization) -> int:
    fids = [make_execution(organization, RUNNING).fid for _ in range(2)]
    return client.delete("/outputs", {"fid": fids}, content_type="application/json").status_code


def delete_resource(client: Client, organization: Organization) -> int:
    made = client.post("/api/v1/resources", NEW_RESOURCE, content_type="application/json")
    return client.delete(f"/api/v1/resources/{made.json()['resourceId']}").status_code


@pytest.mark.parametrize(
    ("delete", "table", "recorded"),
    [
        (delete_run, "executions_executionfile", ["execution.deleted"]),
        (
            delete_live_runs,
            "executions_executionfile",
            ["execution.stopped", "execution.deleted"] * 2,
        ),
        (delete_resource, "tokens_resourcegrant", ["resource.deleted"]),
    ],
)
def test_others_record_while_rows_are_deleted(
    owner: psycopg.Connection,
    organization: Organization,
    client_for: ClientFor,
    delete: Callable[[Client, Organization], int],
    table: str,
    recorded: list[str],
) -> None:
    client = client_for(make_membership(organization))
    with organization_scope(organization):
        lock_head(organization)  # begins the log

    def run() -> int:
        try:
            return delete(client, organization)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        answer = pool.submit(run)
        until_it_waits(answer, owner)
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)])
        heads = owner.execute(HEAD, [organization.pk]).fetchall()

    assert (len(heads), answer.result()) == (1, 204)
    with organization_scope(organization):
        found = list(AuditEvent.objects.order_by("sequence"))
    deleted = found[-len(recorded) :]
    assert [each.action for each in deleted] == recorded
    assert all(each.target_id and each.target_label for each in deleted)
