"""Tokens for registered resources: who gets them, what they say, where they work (RFC 8707)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from agents.actions import suspend_agent
from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.actors import Actor
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Resource, ResourceGrant, TokenEvent
from tokens.resources import (
    ResourceNotFound,
    allow_agent,
    delete_resource,
    remove_agent,
    update_resource,
)
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for, make_credential, make_grant, make_resource
from tokens.tests.forgery import sign, take_apart

URL = "/api/v1/token"
UNKNOWN = {
    "error": "invalid_target",
    "error_description": "The resource is not known here, or the client is not allowed there.",
}


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def resource(organization: Organization) -> Resource:
    return make_resource(organization, scopes=["files:read", "files:write", "files:delete"])


@pytest.fixture
def grant(resource: Resource, agent: Agent) -> ResourceGrant:
    return make_grant(resource, agent, ["files:read", "files:write"])


@pytest.fixture
def ask(agent: Agent) -> Callable[..., Any]:
    """A token request of the agent, with more parameters."""
    _, secret = make_credential(agent)

    def post(*more: tuple[str, str], **named: str) -> Any:
        body = [("grant_type", "client_credentials"), *more, *named.items()]
        return FormClient().post(URL, urlencode(body), headers=basic(agent.pk, secret))

    return post


def system(organization: Organization) -> Actor:
    return Actor.for_system(organization, "test")


def claims_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    claims: dict[str, Any] = take_apart(answer.json()["access_token"]).claims
    return claims


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400
    return dict(answer.json())


# The token request.


def test_a_token_names_the_resource_and_nothing_else(
    ask: Callable[..., Any], agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    answer = ask(resource=resource.identifier)

    claims = claims_of(answer)
    assert claims["aud"] == resource.identifier
    assert claims["scope"] == answer.json()["scope"] == "files:read files:write"
    assert claims["sub"] == claims["client_id"] == str(agent.pk)
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 3600


def test_the_resource_says_how_long_its_tokens_live(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    resource = make_resource(organization, token_lifetime=90)
    make_grant(resource, agent)

    answer = ask(resource=resource.identifier)

    claims = claims_of(answer)
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 90


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("files:read", "files:read"),
        ("files:write files:read", "files:read files:write"),
        ("files:read files:delete", "files:read"),
        ("agents:read files:write", "files:write"),
    ],
)
def test_it_gets_what_it_asks_for_as_far_as_it_is_allowed(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource, asked: str, given: str
) -> None:
    answer = ask(resource=resource.identifier, scope=asked)

    assert claims_of(answer)["scope"] == answer.json()["scope"] == given


@pytest.mark.parametrize("asked", ["files:delete", "agents:read", "nonsense"])
def test_nothing_left_of_what_it_asks_for_is_an_error(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource, asked: str
) -> None:
    assert refused(ask(resource=resource.identifier, scope=asked))["error"] == "invalid_scope"
    assert last_event(resource) == ("refused", "scope_not_allowed", resource.identifier, asked)


def test_a_resource_without_scopes_gets_tokens_without_any(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    resource = make_resource(organization, scopes=[])
    make_grant(resource, agent, [])

    assert claims_of(ask(resource=resource.identifier))["scope"] == ""
    assert refused(ask(resource=resource.identifier, scope="x"))["error"] == "invalid_scope"


def test_access_is_denied_until_it_is_allowed(
    ask: Callable[..., Any], agent: Agent, resource: Resource
) -> None:
    before = ask(resource=resource.identifier)
    make_grant(resource, agent)

    assert refused(before) == UNKNOWN
    assert claims_of(ask(resource=resource.identifier))["aud"] == resource.identifier


def test_what_is_not_allowed_is_as_unknown_as_what_is_not_there(
    ask: Callable[..., Any], grant: ResourceGrant, other_organization: Organization
) -> None:
    theirs = make_resource(other_organization)
    make_grant(theirs, make_agent(other_organization))
    not_allowed = make_resource(grant.organization)

    answers = [
        ask(resource=identifier)
        for identifier in (
            not_allowed.identifier,
            theirs.identifier,
            "https://nowhere.example/",
            "https://nowhere.example/#fragment",
            "nowhere",
            "https://nowhere.example/" + "x" * 3000,
            "https://nowhere.example/\u00fc\x00",
        )
    ]

    assert [refused(answer) for answer in answers] == [UNKNOWN] * 7


def test_the_identifier_is_compared_character_by_character(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    make_grant(make_resource(organization, identifier="https://mcp.example.com/a"), agent)

    for spelling in (
        "https://mcp.example.com/a/",
        "https://mcp.example.com/A",
        "https://MCP.example.com/a",
        "https://mcp.example.com:443/a",
        "https://mcp.example.com/a?",
        " https://mcp.example.com/a",
    ):
        assert refused(ask(resource=spelling)) == UNKNOWN


def test_one_identifier_may_belong_to_two_organizations(
    ask: Callable[..., Any], grant: ResourceGrant, other_organization: Organization
) -> None:
    """Knowing an address is no claim to it: each organization's tokens carry its own id."""
    identifier = grant.resource.identifier
    theirs = make_resource(other_organization, identifier=identifier, token_lifetime=60)
    make_grant(theirs, make_agent(other_organization))

    claims = claims_of(ask(resource=identifier))

    assert claims["organization_id"] == grant.organization.public_id
    assert claims["exp"] - claims["iat"] == 3600


def test_a_wrong_secret_learns_nothing_about_resources(
    agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    answers = [
        FormClient().post(
            URL,
            {"grant_type": "client_credentials", "resource": identifier},
            headers=basic(agent.pk, "sk_live_wrong"),
        )
        for identifier in (resource.identifier, "https://nowhere.example/")
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content


def test_naming_the_resource_twice_is_naming_it_once(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    named = ("resource", resource.identifier)

    assert claims_of(ask(named, named))["aud"] == resource.identifier
    assert claims_of(ask(named, ("resource", "")))["aud"] == resource.identifier


def test_two_resources_are_one_too_many(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    answer = ask(("resource", resource.identifier), ("resource", settings.AUDIENCE))

    assert refused(answer) == {
        "error": "invalid_target",
        "error_description": "A token is for one resource. Ask for one at a time.",
    }


@pytest.mark.parametrize("more", [[], [("resource", "")], [("resource", settings.AUDIENCE)]])
def test_our_own_api_is_what_a_token_is_for_otherwise(
    ask: Callable[..., Any], grant: ResourceGrant, more: list[tuple[str, str]]
) -> None:
    answer = ask(*more)

    assert claims_of(answer)["aud"] == settings.AUDIENCE
    assert answer.json()["scope"] == "agents:read tokens:read"
    assert last_event(grant.resource)[2] == ""


def test_the_audience_of_other_products_is_an_unknown_parameter(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    """RFC 6749 section 3.2: unknown parameters are ignored."""
    assert claims_of(ask(audience=resource.identifier))["aud"] == settings.AUDIENCE


def test_a_request_for_a_resource_takes_one_statement(
    ask: Callable[..., Any],
    grant: ResourceGrant,
    resource: Resource,
    django_assert_num_queries: Any,
) -> None:
    ask(resource=resource.identifier)

    with django_assert_num_queries(0):  # the one statement goes past Django's counter
        ask(resource=resource.identifier)


def test_every_request_is_recorded_with_its_resource(
    ask: Callable[..., Any], agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    ask(resource=resource.identifier)
    issued = last_event(resource)
    ask(resource="https://nowhere.example/")

    assert issued == ("issued", "", resource.identifier, "files:read files:write")
    assert last_event(resource) == (
        "refused",
        "resource_not_allowed",
        "https://nowhere.example/",
        "",
    )
    with organization_scope(agent.organization):  # it proved who it is
        assert not AuditEvent.objects.filter(action="auth.failed").exists()


def last_event(resource: Resource) -> tuple[str, str, str, str]:
    with organization_scope(resource.organization):
        rows = TokenEvent.objects.order_by("-created_at")
        found: tuple[str, str, str, str] = rows.values_list(
            "outcome", "reason", "resource", "scope"
        )[0]
        return found


# The life of such a token.


@pytest.fixture
def token(ask: Callable[..., Any], grant: ResourceGrant, resource: Resource) -> str:
    return str(ask(resource=resource.identifier).json()["access_token"])


@pytest.fixture
def service(organization: Organization) -> FormClient:
    """The resource server, an agent of its own that asks about tokens."""
    return bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))


def about(service: FormClient, token: str) -> dict[str, Any]:
    answer = service.post("/api/v1/token/introspect", {"token": token})
    assert answer.status_code == 200
    return dict(answer.json())


def test_introspection_knows_it(service: FormClient, token: str, resource: Resource) -> None:
    facts = about(service, token)

    assert facts["active"] is True
    assert facts["aud"] == resource.identifier
    assert facts["scope"] == "files:read files:write"


def test_another_organization_learns_nothing_of_it(
    token: str, other_organization: Organization
) -> None:
    make_resource(other_organization)
    stranger = bearer(access_token_for(make_agent(other_organization, scopes=["tokens:read"])))

    assert about(stranger, token) == {"active": False}


def test_narrowing_the_grant_narrows_live_tokens(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    with organization_scope(resource.organization):
        allow_agent(resource, agent, actor=system(resource.organization), scopes=["files:write"])

    assert about(service, token)["scope"] == "files:write"


def test_widening_the_grant_leaves_live_tokens_as_they_are(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    with organization_scope(resource.organization):
        allow_agent(resource, agent, actor=system(resource.organization), scopes=resource.scopes)

    assert about(service, token)["scope"] == "files:read files:write"


@pytest.mark.parametrize("change", ["remove the agent", "delete the resource"])
def test_allowing_the_agent_anew_brings_no_earlier_token_back(
    service: FormClient, token: str, grant: ResourceGrant, agent: Agent, change: str
) -> None:
    resource, actor = grant.resource, system(grant.organization)
    with organization_scope(resource.organization):
        if change == "remove the agent":
            remove_agent(grant, actor=actor)
        else:
            delete_resource(resource, actor=actor)
    before = about(service, token)
    if change == "delete the resource":
        resource = make_resource(
            resource.organization, identifier=resource.identifier, scopes=resource.scopes
        )

    later = make_grant(resource, agent, ["files:read", "files:write"])
    with organization_scope(resource.organization):
        ResourceGrant.objects.filter(pk=later.pk).update(
            created_at=timezone.now() + timedelta(minutes=1)
        )

    assert about(service, token) == before == {"active": False}


def test_a_scope_that_the_resource_loses_is_taken_from_agents_and_tokens(
    service: FormClient, token: str, grant: ResourceGrant, resource: Resource
) -> None:
    actor = system(resource.organization)
    with organization_scope(resource.organization):
        update_resource(resource, actor=actor, described_scopes=[{"name": "files:read"}])
        narrowed = about(service, token)["scope"]
        grant.refresh_from_db()
        update_resource(
            resource,
            actor=actor,
            described_scopes=[{"name": "files:read"}, {"name": "files:write"}],
        )

    assert narrowed == "files:read"
    assert grant.scopes == ["files:read"]
    assert about(service, token)["scope"] == "files:read"  # it does not come back by itself


def remove_grant(grant: ResourceGrant) -> None:
    remove_agent(grant, actor=system(grant.organization))


def remove_resource(grant: ResourceGrant) -> None:
    delete_resource(grant.resource, actor=system(grant.organization))


def allow_nothing(grant: ResourceGrant) -> None:
    allow_agent(grant.resource, grant.agent, actor=system(grant.organization), scopes=[])


def suspend(grant: ResourceGrant) -> None:
    suspend_agent(grant.agent, actor=system(grant.organization))


def revoke_all(grant: ResourceGrant) -> None:
    grant.agent.credentials.update(status="revoked")


@pytest.mark.parametrize("end", [remove_grant, remove_resource, allow_nothing, suspend, revoke_all])
def test_what_ends_the_permission_ends_live_tokens(
    service: FormClient, token: str, grant: ResourceGrant, end: Callable[[ResourceGrant], None]
) -> None:
    assert about(service, token)["active"] is True

    with organization_scope(grant.organization):
        end(grant)

    assert about(service, token) == {"active": False}


def test_its_agent_may_revoke_it(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    bearer(access_token_for(agent)).post("/api/v1/token/revoke", {"token": token})

    assert about(service, token) == {"active": False}
    with organization_scope(agent.organization):
        event = TokenEvent.objects.get(outcome="revoked")
        assert (event.resource, event.agent_id) == (resource.identifier, agent.pk)


def test_a_scope_of_ours_in_a_resource_opens_nothing_here(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    """The names of a resource's scopes are its own, even where they look like ours."""
    resource = make_resource(organization, scopes=["agents:read", "admin:orgs"])
    make_grant(resource, agent, resource.scopes)
    token = claims_of(answer := ask(resource=resource.identifier))["scope"]
    client = bearer(answer.json()["access_token"])

    assert token == "agents:read admin:orgs"
    assert client.get("/api/v1/agents").status_code == 401
    assert client.get("/api/v1/auth/session").status_code == 401


# Deciding about resources.


@pytest.fixture
def admin(organization: Organization) -> Client:
    token = access_token_for(make_membership(organization, "admin"))
    return Client(headers={"Authorization": f"Bearer {token}"})


def create(client: Client, **fields: Any) -> Any:
    body = {"identifier": "https://mcp.example.com/", "name": "Files"} | fields
    return client.post("/api/v1/resources", body, content_type="application/json")


GOOD = [
    "https://mcp.example.com/",
    "https://mcp.example.com/mcp",
    "https://mcp.example.com/mcp/",
    "https://mcp.example.com:8443/mcp?tenant=a",
    "https://xn--mller-kva.example/a%20b",
    "https://192.0.2.7/",
    "https://[2001:db8::1]:8443/",
    "http://localhost:8001/mcp",
    "http://127.0.0.1:8001/mcp",
    "http://[::1]:8001/",
]
WITH_NORMAL_FORM = {
    "https://mcp.example.com": "https://mcp.example.com/",
    "HTTPS://mcp.example.com/": "https://mcp.example.com/",
    "https://MCP.Example.com/Path": "https://mcp.example.com/Path",
    "https://mcp.example.com:443/": "https://mcp.example.com/",
    "https://mcp.example.com:/": "https://mcp.example.com/",
    "https://mcp.example.com/%7efiles": "https://mcp.example.com/~files",
    "https://mcp.example.com/%c3%a9": "https://mcp.example.com/%C3%A9",
}
BAD = [
    "https://mcp.example.com/#part",
    "https://mcp.example.com/#",
    "http://mcp.example.com/",
    "http://localhost.example.com/",
    "http://localhost@example.com/",
    "https://user@mcp.example.com/",
    "https://mcp.example.com/a/../b",
    "https://mcp.example.com/%2e%2e/b",
    "https://mcp.example.com/a b",
    " https://mcp.example.com/",
    "https://mcp.example.com/\t",
    "https://mcp.example.com/ü",
    "https://mcp.example.com/%zz",
    "https://mcp.example.com:http/",
    "https://*/",
    "https:///path",
    "https:mcp.example.com",
    "//mcp.example.com/",
    "/mcp",
    "mcp.example.com",
    "urn:example:files",
    "javascript:alert(1)",
    "https://[::1/",
    "https://[::1]x/",
    "https://mcp.example.com/" + "a" * 255,
    settings.AUDIENCE,
    f"{settings.ISSUER}/",
    f"{settings.ISSUER}/api/v1/agents",
]


@pytest.mark.parametrize("identifier", GOOD)
def test_an_address_in_its_normal_form_is_an_identifier(admin: Client, identifier: str) -> None:
    answer = create(admin, identifier=identifier)

    assert (answer.status_code, answer.json()["identifier"]) == (201, identifier)


@pytest.mark.parametrize("identifier", WITH_NORMAL_FORM)
def test_another_spelling_is_refused_and_the_normal_one_named(
    admin: Client, identifier: str
) -> None:
    answer = create(admin, identifier=identifier)

    sentence = f"Write it in its normal form: {WITH_NORMAL_FORM[identifier]}"
    assert (answer.status_code, answer.json()["details"]) == (400, {"identifier": [sentence]})


@pytest.mark.parametrize("identifier", BAD)
def test_anything_else_is_refused(admin: Client, identifier: str) -> None:
    answer = create(admin, identifier=identifier)

    assert answer.status_code == 400
    assert answer.json()["details"].keys() == {"identifier"}
    assert "normal form" not in answer.json()["message"]


def test_an_identifier_is_unique_in_its_organization(
    admin: Client, other_organization: Organization
) -> None:
    make_resource(other_organization, identifier="https://mcp.example.com/")

    answers = [create(admin) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "RESOURCE_ALREADY_EXISTS"
    assert answers[1].json()["details"] == {"identifier": ["Already registered."]}


@pytest.mark.parametrize(
    "scopes",
    [
        [{"name": "a b"}],
        [{"name": 'a"b'}],
        [{"name": "a\\b"}],
        [{"name": "ü"}],
        [{"name": ""}],
        [{"name": "x" * 65}],
        [{"description": "no name"}],
        [{"name": "a"}, {"name": "a"}],
        [{"name": f"s{number}"} for number in range(51)],
        [{"name": f"{number:064d}"} for number in range(20)],
        ["files:read"],
        [{"name": "a", "extra": 1}],
        [{"name": "a", "description": 1}],
    ],
)
@pytest.mark.parametrize("is_change", [False, True])
def test_scopes_must_be_well_formed(
    admin: Client, organization: Organization, scopes: Any, is_change: bool
) -> None:
    if is_change:
        url = f"/api/v1/resources/{make_resource(organization).pk}"
        answer = admin.patch(url, {"scopes": scopes}, content_type="application/json")
    else:
        answer = create(admin, scopes=scopes)

    assert (answer.status_code, answer.json()["details"].keys()) == (400, {"scopes"})


@pytest.mark.parametrize("seconds", [0, 59, 86_401, -60, "soon", 60.5])
def test_a_lifetime_has_limits(admin: Client, seconds: Any) -> None:
    answer = create(admin, tokenLifetimeSeconds=seconds)

    assert answer.json()["details"].keys() == {"tokenLifetimeSeconds"}


def test_the_identifier_stays_what_services_compare_with(
    admin: Client, organization: Organization
) -> None:
    resource = make_resource(organization)

    answer = admin.patch(
        f"/api/v1/resources/{resource.pk}",
        {"identifier": "https://elsewhere.example/"},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["details"].keys()) == (400, {"identifier"})


def test_every_decision_is_in_the_audit_log(
    admin: Client, agent: Agent, organization: Organization
) -> None:
    made = create(admin, scopes=[{"name": "files:read"}]).json()
    url = f"/api/v1/resources/{made['resourceId']}"
    permission = f"{url}/agents/{agent.pk}"

    for _ in range(2):  # the second time changes nothing and says the same
        admin.patch(url, {"name": "All files"}, content_type="application/json")
        answer = admin.put(permission, {"scopes": ["files:read"]}, content_type="application/json")
        assert answer.json()["scopes"] == ["files:read"]
    assert [admin.delete(permission).status_code for _ in range(2)] == [204, 404]
    assert admin.delete(url).status_code == 204

    with organization_scope(organization):
        events = AuditEvent.objects.filter(action__startswith="resource.").order_by("sequence")
        assert list(events.values_list("action", "agent_id", "target_label")) == [
            ("resource.created", None, "https://mcp.example.com/"),
            ("resource.updated", None, "https://mcp.example.com/"),
            ("resource.agent_allowed", agent.pk, "https://mcp.example.com/"),
            ("resource.agent_removed", agent.pk, "https://mcp.example.com/"),
            ("resource.deleted", None, "https://mcp.example.com/"),
        ]
        assert events[1].metadata == {
            "before": {"name": made["name"]},
            "after": {"name": "All files"},
        }


def test_a_scope_that_the_resource_does_not_have_cannot_be_allowed(
    admin: Client, agent: Agent, resource: Resource
) -> None:
    answer = admin.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": ["files:read", "agents:write"]},
        content_type="application/json",
    )

    assert answer.status_code == 400
    assert answer.json()["details"] == {"scopes": ["The resource has no scope agents:write."]}


def test_an_agent_never_allows_itself(organization: Organization, resource: Resource) -> None:
    agent = make_agent(organization, scopes=["admin:orgs"])
    Principal.objects.filter(pk=agent.pk).update(role=Principal.Role.ADMIN)
    client = Client(headers={"Authorization": f"Bearer {access_token_for(agent)}"})

    answer = client.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": ["files:read"]},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert not ResourceGrant.objects.filter(agent=agent).exists()


def test_a_decommissioned_agent_is_allowed_nowhere(
    admin: Client, organization: Organization, resource: Resource
) -> None:
    agent = make_agent(organization, status="decommissioned")

    answer = admin.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": []},
        content_type="application/json",
    )

    assert answer.json()["code"] == "AGENT_ALREADY_DECOMMISSIONED"


def test_who_comes_after_a_deletion_is_told_that_it_is_gone(
    organization: Organization, resource: Resource, agent: Agent
) -> None:
    actor = system(organization)
    with organization_scope(organization):
        read_before = Resource.objects.get(pk=resource.pk)
        delete_resource(resource, actor=actor)

        for change in (
            lambda: update_resource(read_before, actor=actor, name="Late"),
            lambda: allow_agent(read_before, agent, actor=actor, scopes=[]),
            lambda: delete_resource(read_before, actor=actor),
        ):
            with pytest.raises(ResourceNotFound):
                change()


@pytest.mark.parametrize(
    "change",
    [{"aud": settings.AUDIENCE}, {"token_use": "agent"}, {"aud": [settings.AUDIENCE]}, {"aud": ""}],
    ids=str,
)
def test_each_mark_of_such_a_token_alone_keeps_it_out(
    service: FormClient, token: str, change: dict[str, Any]
) -> None:
    """Its audience and its use both say whom it is for; a signed token where they disagree is none
    of ours."""
    parts = take_apart(token)
    mixed = sign(parts.header, parts.claims | change)

    assert bearer(mixed).get("/api/v1/agents").status_code == 401
    assert about(service, mixed) == {"active": False}
