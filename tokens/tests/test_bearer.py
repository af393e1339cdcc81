"""How a bearer token may be sent, and the responses (RFC 6750)."""

from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from agents.tests.factories import make_agent
from organizations.models import Organization
from tokens.tests.clients import FORM, bearer
from tokens.tests.factories import access_token_for

URL = "/api/v1/agents"
METADATA = f'resource_metadata="{settings.ISSUER}/.well-known/oauth-protected-resource"'


@pytest.fixture
def token(organization: Organization) -> str:
    return access_token_for(make_agent(organization, scopes=["agents:read"]))


def test_without_a_token_the_answer_names_no_error(client: Client, db: None) -> None:
    answer = client.get(URL)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == f"Bearer {METADATA}"


def test_the_metadata_that_a_refusal_names_is_there(client: Client, db: None) -> None:
    body = client.get("/.well-known/oauth-protected-resource").json()

    assert body["authorization_servers"] == [settings.ISSUER]


def test_a_bad_token_is_named(client: Client, db: None) -> None:
    answer = client.get(URL, headers={"Authorization": "Bearer x"})

    assert answer.status_code == 401
    assert answer.json() == {"code": "UNAUTHORIZED", "message": "The token is not valid."}
    assert answer["WWW-Authenticate"] == f'Bearer error="invalid_token", {METADATA}'


def test_a_missing_scope_is_named(organization: Organization) -> None:
    client = bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))

    answer = client.get(URL)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    challenge = 'Bearer error="insufficient_scope", scope="agents:read"'
    assert answer["WWW-Authenticate"] == f"{challenge}, {METADATA}"


def test_a_token_in_the_address_is_not_read(client: Client, token: str) -> None:
    assert client.get(f"{URL}?access_token={token}").status_code == 401


def test_a_token_in_the_form_alone_is_not_read(client: Client, token: str) -> None:
    answer = client.post(URL, urlencode({"access_token": token}), content_type=FORM)

    assert answer.status_code == 401


@pytest.mark.parametrize("route", [URL, "/api/v1/token/introspect"])
def test_a_token_in_header_and_form_is_refused(token: str, route: str) -> None:
    answer = bearer(token).post(route, {"access_token": token})

    assert answer.status_code == 400


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_not_case_sensitive(client: Client, token: str, scheme: str) -> None:
    answer = client.get(URL, headers={"Authorization": f"{scheme} {token}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "bearer    ", "", " ", "Basic eDp5", "Token x", "Bearer\tx", "x"],
)
def test_an_empty_or_foreign_header_is_no_token(client: Client, db: None, header: str) -> None:
    answer = client.get(URL, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer ")


def test_two_tokens_in_one_header_are_refused(client: Client, token: str) -> None:
    answer = client.get(URL, headers={"Authorization": f"Bearer {token}, Bearer {token}"})

    assert answer.status_code == 401
