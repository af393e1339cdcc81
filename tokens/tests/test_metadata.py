"""The documents that strangers read, and that they are true (RFC 8414, 7517, 9728; S56 to S66)."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from agents.tests.factories import make_agent
from organizations.actors import Scope
from organizations.models import Organization
from organizations.tests.factories import make_membership
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for, make_credential
from tokens.tests.forgery import take_apart

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
RESOURCE = "/.well-known/oauth-protected-resource"
DOCUMENTS = [METADATA, JWKS, RESOURCE, f"{RESOURCE}/api"]


@pytest.fixture
def metadata(client: Client, db: None) -> dict[str, Any]:
    return client.get(METADATA).json()


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
    absent = ["authorization_endpoint", "registration_endpoint", "userinfo_endpoint"]

    assert not set(absent) & set(metadata)
    assert metadata["response_types_supported"] == []
    assert metadata["grant_types_supported"] == ["client_credentials"]


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
def test_nobody_may_write_it(client: Client, db: None, url: str, method: str) -> None:
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
        "openid-configuration",
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
