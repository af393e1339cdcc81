"""A change that waits for a lock is refused if its actor's rights end meanwhile.

Every recorded change waits at the end for the organization's audit log, where the end of rights is
recorded as well: whichever comes first there is valid.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from executions.quotas import QUEUE
from organizations.actors import Scope
from organizations.audit.log import lock_head
from organizations.models import AuditEvent, Membership
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import HEAD, until_it_waits
from organizations.tests.factories import make_membership, make_organization, make_user
from tests.calls import call
from tests.endpoint import PAGE, Endpoint
from tests.endpoints import BEARER, PAGES
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for, make_credential

NOT_RECORDED = {
    "POST /api/v1/token/introspect": "Changes nothing.",
    "POST /api/v1/token/revoke": "Whoever holds a token may revoke it.",
    "POST /api/v1/organizations": "Changes no organization that exists.",
    "POST /audit/verify": "Changes nothing.",
}
ROTATE = "POST /api/v1/agents/{agentId}/credentials/{credentialId}/rotate"
CHANGES = [
    each
    for each in [*BEARER, *PAGES]
    if each.method not in {"GET", "HEAD"} and each.scopes and str(each) not in NOT_RECORDED
]
OF_PEOPLE = [each for each in CHANGES if each.role]
OF_AGENTS = [
    each
    for each in CHANGES
    # What only the run's own agent reports is traffic, which is not recorded.
    if each.role and each.access != PAGE and each.caller != "person"
]
(ROTATION,) = [each for each in CHANGES if str(each) == ROTATE]
FEWER_SCOPES = {"PUT /api/v1/resources/{resourceId}/agents/{agentId}": {"scopes": []}}
"""The table's example repeats the current state, which changes nothing."""

REMOVED = "DELETE FROM organizations_membership WHERE id = %(member)s"
ENDS_OF_PERSON = {
    "removed": REMOVED,
    "demoted": "UPDATE organizations_membership SET role = 'operator' WHERE id = %(member)s",
    "deactivated": "UPDATE organizations_user SET is_active = false WHERE id = %(person)s",
    "signed out": "UPDATE tokens_loginsession SET ended_at = now() WHERE user_id = %(person)s",
    "organization suspended": (
        "UPDATE organizations_organization SET status = 'suspended' WHERE id = %(organization)s"
    ),
}
REVOKED = (
    "UPDATE tokens_credential SET status = 'revoked', revoked_at = now() "
    "WHERE agent_id = %(agent)s AND id = %(credential)s"
)
ENDS_OF_AGENT = {
    "credential revoked": REVOKED,
    "suspended": "UPDATE agents_agent SET status = 'suspended' WHERE id = %(agent)s",
    "no administrator": "UPDATE organizations_principal SET role = '' WHERE id = %(agent)s",
    "scope taken": (
        "UPDATE agents_agent SET scopes = array_remove(scopes, 'agents:write') WHERE id = %(agent)s"
    ),
}


@pytest.mark.parametrize("endpoint", OF_PEOPLE, ids=str)
def test_a_removed_member_changes_nothing(endpoint: Endpoint, owner: psycopg.Connection) -> None:
    tenant = Tenant("northwind")

    assert_refused(endpoint, tenant, *person_of(endpoint, tenant), REMOVED, owner)


@pytest.mark.parametrize("endpoint", OF_AGENTS, ids=str)
def test_an_agent_without_its_credential_changes_nothing(
    endpoint: Endpoint, owner: psycopg.Connection
) -> None:
    tenant = Tenant("northwind")

    assert_refused(endpoint, tenant, *agent_of(tenant), REVOKED, owner)


@pytest.mark.parametrize("end", ENDS_OF_PERSON.values(), ids=ENDS_OF_PERSON)
def test_every_end_of_a_persons_rights_counts(end: str, owner: psycopg.Connection) -> None:
    tenant = Tenant("northwind")

    assert_refused(ROTATION, tenant, *person_of(ROTATION, tenant), end, owner)


@pytest.mark.parametrize("end", ENDS_OF_AGENT.values(), ids=ENDS_OF_AGENT)
def test_every_end_of_an_agents_rights_counts(end: str, owner: psycopg.Connection) -> None:
    tenant = Tenant("northwind")

    assert_refused(ROTATION, tenant, *agent_of(tenant), end, owner)


ENDS_OF_STAFF = {
    "deactivated": "UPDATE organizations_user SET is_active = false WHERE id = %(person)s",
    "no staff": "UPDATE organizations_user SET is_staff = false WHERE id = %(person)s",
    "permission taken": (
        "DELETE FROM organizations_user_user_permissions WHERE user_id = %(person)s "
        "AND permission_id = %(permission)s"
    ),
}


@pytest.mark.parametrize("end", ENDS_OF_STAFF.values(), ids=ENDS_OF_STAFF)
def test_every_end_of_the_rights_of_staff_counts(end: str, owner: psycopg.Connection) -> None:
    organization = make_organization()
    staff = make_user("staff@example.com", is_staff=True)
    permission = Permission.objects.get(codename="change_organization")
    staff.user_permissions.set([permission, Permission.objects.get(codename="view_organization")])
    browser = Client()
    browser.force_login(staff)
    browser.post("/admin/organization", {"organization": organization.pk})
    page = f"/admin/organizations/organization/{organization.pk}/change/"
    plan = {"plan_tier": "pro", "max_agents": "7", "max_tokens_per_month": "", "status": "active"}

    def change() -> Any:
        try:
            return browser.post(page, plan).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
            )
            owner.execute(HEAD, [organization.pk])
            answer = pool.submit(change)
            until_it_waits(answer, owner)
            ended = owner.execute(end, {"person": staff.pk, "permission": permission.pk})
            assert ended.rowcount == 1
        status = answer.result()

    assert status == 403
    organization.refresh_from_db()
    assert organization.max_agents != 7


REPORTS = [
    each
    for each in BEARER
    if each.method not in {"GET", "HEAD"} and each.scopes == (Scope.EXECUTIONS_WRITE,)
    if not each.role
]
"""What only the run's own agent reports, which is not recorded."""
RUN = "SELECT FROM executions_execution WHERE organization_id = %s AND id = %s FOR UPDATE"
ENDS_OF_REPORTS = {
    "credential revoked": REVOKED,
    "suspended": ENDS_OF_AGENT["suspended"],
    "tokens ended": (
        "UPDATE agents_agent SET token_generation = token_generation + 1 WHERE id = %(agent)s"
    ),
    "organization's tokens ended": (
        "UPDATE organizations_organization SET token_generation = token_generation + 1 "
        "WHERE id = %(organization)s"
    ),
    "scope taken": "UPDATE agents_agent SET scopes = '{agents:read}' WHERE id = %(agent)s",
}


def test_all_reports_are_tested() -> None:
    assert len(REPORTS) >= 8


@pytest.mark.parametrize("end", ENDS_OF_REPORTS.values(), ids=ENDS_OF_REPORTS)
@pytest.mark.parametrize("endpoint", REPORTS, ids=str)
def test_a_report_that_waited_for_its_run_while_rights_ended_changes_nothing(
    endpoint: Endpoint, end: str, owner: psycopg.Connection
) -> None:
    tenant = Tenant("northwind")
    agent = tenant.entitled(tenant.agent, *Scope.values)
    client = Client(headers={"Authorization": f"Bearer {access_token_for(agent)}"})
    organization = tenant.organization
    with organization_scope(organization):
        own = agent.credentials.latest("created_at").pk
    ids, body = endpoint.ids(tenant), endpoint.body(tenant) if endpoint.body else None
    run = tenant.execution
    before = tenant.rows()

    def ask() -> Any:
        try:
            return call(client, endpoint, tenant, ids=ids, body=body, commits=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
            )
            if ids:
                owner.execute(RUN, [organization.pk, run.pk])
            else:
                owner.execute(QUEUE, [str(organization.pk)])
            answer = pool.submit(ask)
            until_it_waits(answer, owner)
            known = {"agent": agent.pk, "credential": own, "organization": organization.pk}
            assert owner.execute(end, known).rowcount == 1
        status = answer.result().status_code

    assert status == 403
    changed = end.split()[1]
    after = tenant.rows()
    assert {**after, changed: []} == {**before, changed: []}


def person_of(endpoint: Endpoint, tenant: Tenant) -> tuple[Client, dict[str, Any]]:
    member = tenant.member(endpoint.role)
    if endpoint.access == PAGE:
        client = Client(headers={"Accept": "text/html"})
        client.force_login(member.user)
    else:
        client = Client(headers={"Authorization": f"Bearer {access_token_for(member)}"})
    return client, {"member": member.pk, "person": member.user_id}


def agent_of(tenant: Tenant) -> tuple[Client, dict[str, Any]]:
    """An administrator, which is not the agent that the table's examples are about."""
    agent: Agent = tenant.entitled(tenant.another_agent(), *Scope.values)
    token = access_token_for(agent)
    with organization_scope(tenant.organization):
        own = agent.credentials.latest("created_at").pk
    return Client(headers={"Authorization": f"Bearer {token}"}), {
        "agent": agent.pk,
        "credential": own,
    }


def assert_refused(
    endpoint: Endpoint,
    tenant: Tenant,
    client: Client,
    actor: dict[str, Any],
    end: str,
    owner: psycopg.Connection,
) -> None:
    """Send the request, end its actor's rights while it waits, and expect that it is refused and
    changes nothing."""
    ids = endpoint.ids(tenant)
    body = FEWER_SCOPES.get(str(endpoint)) or (endpoint.body(tenant) if endpoint.body else None)
    organization = tenant.organization
    with organization_scope(organization):
        if endpoint.path.endswith("/reactivate"):
            Agent.objects.filter(pk=ids["agent_id"]).update(status=Agent.Status.SUSPENDED)
        lock_head(organization)  # begins the log
    before = tenant.rows()

    def ask() -> Any:
        try:
            return call(client, endpoint, tenant, ids=ids, body=body, commits=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
            )
            owner.execute(HEAD, [organization.pk])
            answer = pool.submit(ask)
            until_it_waits(answer, owner)
            ended = owner.execute(end, {**actor, "organization": organization.pk})
            assert ended.rowcount == 1
        status = answer.result().status_code

    # A page shows the refusal above its form, or as a message after a redirect.
    assert status in ({302, 400, 403} if endpoint.access == PAGE else {403})
    changed = end.split()[1 if end.startswith("UPDATE") else 2]
    after = tenant.rows()
    assert {**after, changed: []} == {**before, changed: []}


def test_an_administrator_that_rotates_all_the_time_is_removed_for_good(
    transactional_db: None,
) -> None:
    organization = make_organization()
    make_membership(organization, "owner")
    admin = make_membership(organization, "admin")
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    rotate = f"/api/v1/agents/{agent.pk}/credentials/{credential.pk}/rotate"
    remove = f"/api/v1/organizations/{organization.public_id}/members/{admin.pk}"
    owner = Membership.objects.get(organization=organization, role="owner")
    own, others = (f"Bearer {access_token_for(each)}" for each in (admin, owner))

    def ask(number: int) -> None:
        try:
            if number == 40:
                assert Client(headers={"Authorization": others}).delete(remove).status_code == 204
            else:
                Client(headers={"Authorization": own}).post(rotate, {}, "application/json")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(80)))

    with organization_scope(organization):
        events = AuditEvent.objects.order_by("sequence").values_list("action", flat=True)
        assert set(events) == {"credential.rotated", "org.member_removed"}
        assert events.last() == "org.member_removed"
