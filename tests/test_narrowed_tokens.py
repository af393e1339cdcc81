"""A token allows only its scope, even for an agent that administers its organization.

Every operation answers an administrator's narrowed token like the token of a plain agent with the
same scopes.
"""

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from agents.models import Agent
from executions.models import Execution
from organizations.actors import Actor, Scope
from organizations.models import Principal
from organizations.tenancy.scope import organization_scope
from tests.calls import call
from tests.endpoint import Endpoint
from tests.endpoints import BEARER
from tests.tenants import Tenant
from tokens.actions import create_credential
from tokens.models import Credential, Revocation
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for

NARROW = [each for each in BEARER if Scope.ADMIN_ORGS not in each.scopes]
WIDEST = frozenset(Scope.values) - {Scope.ADMIN_ORGS}
CHANGING = re.compile(
    r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|\w+-[0-9a-f]{8}(?![-0-9a-f])"  # ids, names
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+|\d{10,}|sk_live_[\w-]+|eyJ[\w.-]+"  # times, secrets
)


def administrator(tenant: Tenant) -> Agent:
    return tenant.entitled(tenant.another_agent(), *Scope.values)


def client_of(agent: Agent, scopes: frozenset[str]) -> Client:
    token = access_token_for(agent, scopes=" ".join(sorted(scopes)))
    return Client(headers={"Authorization": f"Bearer {token}"})


def answer_of(client: Client, endpoint: Endpoint, tenant: Tenant) -> tuple[int, str]:
    """Status and text of a call that is rolled back afterwards."""
    with transaction.atomic():
        ids, body = tenant.kept(endpoint.ids), tenant.kept(endpoint.body)
        response: Any = call(client, endpoint, tenant, ids=ids, body=body)
        text = "" if response.streaming else response.content.decode()
        transaction.set_rollback(True)
    return response.status_code, CHANGING.sub("*", text)


def test_an_administrators_narrowed_token_is_a_plain_agents(ours: Tenant) -> None:
    ours.fill()
    for each in NARROW:
        ours.keep(each.ids, each.body)  # created now, because the calls are rolled back
    admin, plain = administrator(ours), ours.another_agent()

    for endpoint in NARROW:
        for scopes in (frozenset(endpoint.scopes), WIDEST):
            ours.entitled(plain, *scopes)
            clients = [client_of(agent, scopes) for agent in (admin, plain)]

            answers = [answer_of(client, endpoint, ours) for client in clients]

            assert answers[0] == answers[1], f"{endpoint} with {scopes}"


@pytest.mark.parametrize("scopes", [{"tokens:read"}, WIDEST], ids=["one scope", "all but admin"])
def test_a_narrowed_token_ends_no_other_token(scopes: frozenset[str], ours: Tenant) -> None:
    admin = administrator(ours)
    narrow = bearer(access_token_for(admin, scopes=" ".join(scopes)))
    others = [access_token_for(ours.person("owner")), ours.token]

    for token in others:
        narrow.post("/api/v1/token/revoke", {"token": token})

    with organization_scope(ours.organization):
        assert not Revocation.objects.exists()
    whole = bearer(access_token_for(admin))
    for token in others:
        whole.post("/api/v1/token/revoke", {"token": token})
    with organization_scope(ours.organization):
        assert Revocation.objects.count() == 2


def test_a_narrowed_token_sees_its_own_executions(ours: Tenant) -> None:
    admin = administrator(ours)
    execution = ours.execution
    with organization_scope(ours.organization):
        own = ours.another_execution([("running", 0)])
        Execution.objects.filter(pk=own.pk).update(agent_id=admin.pk)

    narrow = client_of(admin, frozenset({"executions:read"})).get("/api/v1/executions").json()
    whole = client_of(admin, frozenset(Scope.values)).get("/api/v1/executions").json()

    assert narrow["total"] == 1
    assert whole["total"] == 2
    assert str(execution.pk) in {each["executionId"] for each in whole["data"]}


@pytest.mark.parametrize("missing", sorted(WIDEST - {Scope.AGENTS_WRITE}))
def test_a_narrowed_token_gets_no_secret_of_its_whole_agent(missing: str, ours: Tenant) -> None:
    agent = ours.entitled(ours.another_agent(), *WIDEST)
    with organization_scope(ours.organization):
        actor = Actor.for_system(ours.organization, "test")
        credential, _ = create_credential(agent, actor=actor)
    new = f"/api/v1/agents/{agent.pk}/credentials"
    rotation = f"{new}/{credential.pk}/rotate"

    narrow, whole = (client_of(agent, scopes) for scopes in (WIDEST - {missing}, WIDEST))
    refused = [narrow.post(path, {}, content_type="application/json") for path in (new, rotation)]
    granted = [whole.post(path, {}, content_type="application/json") for path in (new, rotation)]

    assert [answer.status_code for answer in refused] == [403, 403]
    assert all(missing in answer.json()["message"] for answer in refused)
    assert [answer.status_code for answer in granted] == [201, 200]


# Only administrators may change an administrator.


def registrar(tenant: Tenant) -> Client:
    """An agent with all scopes except admin:orgs."""
    return client_of(tenant.entitled(tenant.another_agent(), *WIDEST), WIDEST)


def handle(client: Client, tenant: Tenant, agent: Agent) -> dict[str, int]:
    """Do everything to the agent that a registrar can do; return the statuses."""
    with organization_scope(tenant.organization):
        actor = Actor.for_system(tenant.organization, "test")
        rotated, revoked = (create_credential(agent, actor=actor)[0] for _ in range(2))
    path = f"/api/v1/agents/{agent.pk}"
    calls = {
        "change": ("patch", path, {"owner": "somebody"}),
        "take its scopes": ("patch", path, {"scopes": []}),
        "suspend": ("patch", path, {"status": "suspended"}),
        "reactivate": ("patch", path, {"status": "active"}),
        "new credential": ("post", f"{path}/credentials", {}),
        "rotate": ("post", f"{path}/credentials/{rotated.pk}/rotate", {}),
        "revoke": ("delete", f"{path}/credentials/{revoked.pk}", {}),
        "decommission": ("delete", path, {}),
    }
    return {
        name: getattr(client, method)(url, body, content_type="application/json").status_code
        for name, (method, url, body) in calls.items()
    }


def test_agents_write_alone_touches_no_administrator(ours: Tenant) -> None:
    admin = administrator(ours)
    before = ours.rows()

    answers = handle(registrar(ours), ours, admin)

    assert set(answers.values()) == {403}
    kept = ours.rows()
    assert kept["agents_agent"] != []
    assert [row for row in before["agents_agent"] if str(admin.pk) in row] == [
        row for row in kept["agents_agent"] if str(admin.pk) in row
    ]
    with organization_scope(ours.organization):
        assert set(Credential.objects.values_list("status", flat=True)) == {"active"}


def test_nor_does_an_administrators_own_narrowed_token(ours: Tenant) -> None:
    """A credential of its own could get a token with administrative rights."""
    admin = administrator(ours)

    answers = handle(client_of(admin, WIDEST), ours, admin)

    assert set(answers.values()) == {403}


def test_an_administrator_handles_another_one(ours: Tenant) -> None:
    whole = client_of(administrator(ours), frozenset(Scope.values))

    answers = handle(whole, ours, administrator(ours))

    assert set(answers.values()) == {200, 201, 204}


def test_an_administrator_can_change_an_agent_that_administers(ours: Tenant) -> None:
    person = Client(headers={"Authorization": f"Bearer {access_token_for(ours.person('admin'))}"})

    assert set(handle(person, ours, administrator(ours)).values()) == {200, 201, 204}


def test_a_secret_alone_administers_nothing(ours: Tenant) -> None:
    admin = administrator(ours)
    with organization_scope(ours.organization):
        secret = create_credential(admin, actor=Actor.for_system(ours.organization, "test"))[1]

    answer = FormClient().post(
        "/api/v1/token/revoke", {"token": ours.token}, headers=basic(admin.pk, secret)
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    with organization_scope(ours.organization):
        assert not Revocation.objects.exists()


def test_the_role_without_the_scope_is_nothing(ours: Tenant) -> None:
    """A member with the role admin but only the scope executions:read."""
    agent = ours.entitled(ours.another_agent(), "executions:read")
    Principal.objects.filter(pk=agent.pk).update(role=Principal.Role.ADMIN)
    assert ours.execution

    found = client_of(agent, frozenset({"executions:read"})).get("/api/v1/executions").json()

    assert found["total"] == 0
