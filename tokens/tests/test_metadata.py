"""The public metadata is complete and true (RFC 8414, 7517, 9728)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from agents.tests.factories import make_agent
from organizations.actors import Scope
from organizations.models import Organization
from organizations.tests.factories import make_membership
from tokens.keys import PUBLISHED_BEFORE_USE, key_ring, rotate_signing_key
from tokens.models import SigningKey
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for, make_credential
from tokens.tests.forgery import take_apart
from tokens.tests.key_times import later

METADATA = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks.json"
RESOURCE = "/.well-known/oauth-protected-resource"
DOCUMENTS = [METADATA, OPENID, JWKS, RESOURCE, f"{RESOURCE}/api"]


@pytest.fixture
def metadata(client: Client, db: None) -> dict[str, Any]:
    return client.get(METADATA).json()


@pytest.fixture
def own_ring(db: None) -> Iterator[None]:
    """A fresh ring for tests that change it: the process's own ring outlives their rows."""
    key_ring.forget()
    yield
    key_ring.forget()


def path_of(url: str) -> str:
    assert url.startswith(settings.ISSUER)
    return url.removeprefix(settings.ISSUER)


def test_the_issuer_is_the_tokens_issuer(
    metadata: dict[str, Any], organization: Organization
) -> None:
    claims = take_apart(access_token_for(make_agent(organization))).claims

    assert metadata["issuer"] == claims["iss"] == settings.ISSUER


def test_every_list_is_a_list(metadata: dict[str, Any]) -> None:
    for name, value in metadata.items():
        assert isinstance(value, list) == name.endswith("_supported"), name


def test_what_does_not_work_is_not_advertised(metadata: dict[str, Any]) -> None:
    absent = ["registration_endpoint", "userinfo_endpoint", "device_authorization_endpoint"]

    assert not set(absent) & set(metadata)
    assert metadata["response_types_supported"] == []
    assert metadata["grant_types_supported"] == ["client_credentials"]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"response_type": "code", "client_id": "x", "redirect_uri": "https://evil.example/"},
        {"response_type": "token", "redirect_uri": "javascript:alert(1)"},
        {"response_type": ["code", "token"], "state": "<script>"},
    ],
)
def test_the_authorization_endpoint_refuses_everybody_and_leads_nowhere(
    client: Client, metadata: dict[str, Any], method: str, query: dict[str, Any]
) -> None:
    url = path_of(metadata["authorization_endpoint"])

    answer = getattr(client, method)(url, query)
    page = getattr(client, method)(url, query, headers={"Accept": "text/html"})

    assert answer.json()["error"] == "unsupported_response_type"
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert b"Nothing to sign in to here" in page.content
    for each in (answer, page):
        assert each.status_code == 400
        assert not {"Location", "Set-Cookie", "Access-Control-Allow-Origin"} & set(each.headers)
        assert each["Cache-Control"] == "no-store"
        assert "Accept" in each["Vary"].split(", ")
        assert b"evil.example" not in each.content
        assert b"<script>" not in each.content


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_the_authorization_endpoint_knows_two_methods(
    client: Client, db: None, method: str
) -> None:
    answer = getattr(client, method)("/authorize")

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")


def test_openid_configuration_says_the_same_and_what_its_readers_need(
    client: Client, metadata: dict[str, Any]
) -> None:
    body = client.get(OPENID).json()

    added = {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": []}
    assert body == metadata | added


ISSUER_WITH_PATH = "https://id.example.com/idp"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/idp",
        "/.well-known/openid-configuration/idp",
        "/idp/.well-known/openid-configuration",
        "/.well-known/openid-configuration",  # the proxy removed the path
    ],
)
def test_an_issuer_with_a_path_is_found_where_clients_look(
    client: Client, settings: Any, path: str
) -> None:
    settings.ISSUER = ISSUER_WITH_PATH

    body = client.get(path).json()

    assert body["issuer"] == ISSUER_WITH_PATH
    assert body["token_endpoint"] == f"{ISSUER_WITH_PATH}/api/v1/token"
    assert body["authorization_endpoint"] == f"{ISSUER_WITH_PATH}/authorize"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/idp/x",
        "/.well-known/openid-configuration/id",
        "/other/.well-known/openid-configuration",
    ],
)
def test_an_issuer_with_a_path_is_found_nowhere_else(
    client: Client, settings: Any, path: str
) -> None:
    settings.ISSUER = ISSUER_WITH_PATH

    assert client.get(path).status_code == 404


def test_every_advertised_client_authentication_works_at_every_endpoint(
    metadata: dict[str, Any], organization: Organization
) -> None:
    agent = make_agent(organization, scopes=["tokens:read"])
    _, secret = make_credential(agent)
    in_body = {"client_id": str(agent.pk), "client_secret": secret}
    ways = {
        "client_secret_basic": (basic(agent.pk, secret), {}),
        "client_secret_post": ({}, in_body),
    }
    forms = {
        "token": {"grant_type": "client_credentials"},
        "introspection": {"token": "x"},
        "revocation": {"token": "x"},
    }

    for endpoint, form in forms.items():
        advertised = metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert set(advertised) == set(ways)
        for headers, more in ways.values():
            path = path_of(metadata[f"{endpoint}_endpoint"])
            assert FormClient().post(path, form | more, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": "x"},
        {"client_id": "x", "client_assertion": "a.b.c", "client_assertion_type": "y"},
    ],
)
def test_other_client_authentication_fails(db: None, form: dict[str, str]) -> None:
    answer = FormClient().post("/api/v1/token", {"grant_type": "client_credentials"} | form)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_every_advertised_scope_can_be_had(
    metadata: dict[str, Any], organization: Organization
) -> None:
    agent = make_agent(organization, scopes=Scope.values)
    _, secret = make_credential(agent)

    for scope in metadata["scopes_supported"]:
        answer = FormClient().post(
            path_of(metadata["token_endpoint"]),
            {"grant_type": "client_credentials", "scope": scope},
            headers=basic(agent.pk, secret),
        )
        assert answer.json()["scope"] == scope


def test_the_key_set_has_public_keys_only(client: Client, db: None) -> None:
    keys = client.get(JWKS).json()["keys"]

    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert not set(key) & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
        assert key["use"] == "sig"
        if key["kty"] == "RSA":
            assert len(key["n"]) * 6 >= 2048


def test_the_key_in_use_comes_first(
    client: Client, organization: Organization, own_ring: None
) -> None:
    """Some verifiers try only the first key."""
    rotate_signing_key("ES256")  # another one, published but not signing yet
    key_ring.forget()
    header = take_apart(access_token_for(make_agent(organization))).header

    keys = client.get(JWKS).json()["keys"]

    assert keys[0]["kid"] == header["kid"]
    assert [key["alg"] for key in keys].count("ES256") == 2


def test_an_rsa_key_is_published_when_an_organization_chooses_it_and_signs_when_it_is_known(
    client: Client, organization: Organization, own_ring: None
) -> None:
    SigningKey.objects.filter(algorithm="RS256").delete()
    agent = make_agent(organization)
    before = algorithms_in(client)
    organization.signing_algorithm = "RS256"
    organization.save()

    first = take_apart(access_token_for(agent)).header["alg"]

    assert (before, first) == (["ES256"], "ES256")
    assert algorithms_in(client) == ["ES256", "RS256"]
    assert SigningKey.objects.filter(algorithm="RS256").count() == 1
    wait = PUBLISHED_BEFORE_USE.total_seconds()
    for seconds, algorithm in {wait - 1: "ES256", wait + 1: "RS256"}.items():
        with later(seconds):
            assert take_apart(access_token_for(agent)).header["alg"] == algorithm


def algorithms_in(client: Client) -> list[str]:
    return [key["alg"] for key in client.get(JWKS).json()["keys"]]


def test_a_tokens_key_is_in_the_key_set(client: Client, organization: Organization) -> None:
    header = take_apart(access_token_for(make_agent(organization))).header

    assert header["kid"] in {key["kid"] for key in client.get(JWKS).json()["keys"]}


@pytest.mark.parametrize("url", DOCUMENTS)
def test_anyone_may_read_and_keep_it(client: Client, db: None, url: str) -> None:
    answer = client.get(url)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    age = int(settings.JWKS_MAX_AGE.total_seconds())
    assert answer["Cache-Control"] == f"public, max-age={age}"
    assert "Set-Cookie" not in answer


@pytest.mark.parametrize("url", DOCUMENTS)
@pytest.mark.parametrize("spelling", ["{}", "W/{}", '"other", {}', "*"])
def test_an_unchanged_document_is_not_sent_again(
    client: Client, db: None, url: str, spelling: str
) -> None:
    etag = client.get(url)["ETag"]

    answer = client.get(url, headers={"If-None-Match": spelling.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer["ETag"] == etag


@pytest.mark.parametrize("url", DOCUMENTS)
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_public_documents_are_read_only(client: Client, db: None, url: str, method: str) -> None:
    answer = getattr(client, method)(url)

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("url", DOCUMENTS)
@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "Forwarded"]
)
def test_a_foreign_host_changes_no_address(client: Client, db: None, url: str, header: str) -> None:
    plain = client.get(url).content

    assert client.get(url, headers={header: "evil.example"}).content == plain
    assert client.get(url, headers={"Host": "127.0.0.1:9"}).content == plain


def test_an_unknown_host_is_refused(client: Client, db: None) -> None:
    answer = client.get("/api/v1/agents", headers={"Host": "evil.example"})

    assert b"evil.example" not in answer.content
    assert answer.status_code in {400, 401}


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "openid-configuration/x",
        "oauth-authorization-server/x",
        "oauth-protected-resource/other",
        "jwks.json/",
        "",
    ],
)
def test_an_unknown_document_is_404_in_json(client: Client, db: None, path: str) -> None:
    answer = client.get(f"/.well-known/{path}", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_the_documents_need_no_query(
    client: Client, db: None, django_assert_num_queries: Any
) -> None:
    for url in DOCUMENTS:
        client.get(url)

    with django_assert_num_queries(0):
        for url in DOCUMENTS:
            client.get(url)


def test_the_resource_accepts_its_advertised_way(organization: Organization) -> None:
    client = bearer(access_token_for(make_membership(organization)))

    assert client.get(RESOURCE).json()["bearer_methods_supported"] == ["header"]
    assert client.get("/api/v1/agents").status_code == 200
