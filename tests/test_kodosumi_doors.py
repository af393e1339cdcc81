"""The API in kodosumi's words accepts every credential of kodosumi's clients: its header in both
spellings, its cookie, a bearer token, and a browser session.
"""

import re

import pytest
from django.test import Client
from rest_framework.permissions import SAFE_METHODS

from tests.calls import call
from tests.endpoint import Endpoint
from tests.endpoints import ENDPOINTS
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for

FAMILIES = re.compile("/(api/dashboard|outputs|timeline|files)(/|$)")
IN_KODOSUMIS_WORDS = [each for each in ENDPOINTS if FAMILIES.match(each.path)]


def test_the_families_are_all_there() -> None:
    found = {match[1] for each in IN_KODOSUMIS_WORDS if (match := FAMILIES.match(each.path))}

    assert found == {"api/dashboard", "outputs", "timeline", "files"}


@pytest.mark.parametrize("endpoint", IN_KODOSUMIS_WORDS, ids=str)
@pytest.mark.parametrize("name", ["KODOSUMI_API_KEY", "KODOSUMI-API-KEY", "Authorization"])
def test_a_token_opens_it_in_every_header(endpoint: Endpoint, name: str, ours: Tenant) -> None:
    token = access_token_for(ours.person("operator"))
    value = f"Bearer {token}" if name == "Authorization" else token

    response = call(Client(headers={name: value}), endpoint, ours)

    assert response.status_code == endpoint.status


@pytest.mark.parametrize("endpoint", IN_KODOSUMIS_WORDS, ids=str)
def test_a_token_opens_it_in_the_cookie(endpoint: Endpoint, ours: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies["kodosumi_jwt"] = access_token_for(ours.person("operator"))

    response = call(client, endpoint, ours)

    assert response.status_code == endpoint.status


@pytest.mark.parametrize(
    "endpoint", [each for each in IN_KODOSUMIS_WORDS if each.method not in SAFE_METHODS], ids=str
)
def test_a_page_of_another_site_changes_nothing_with_the_cookie(
    endpoint: Endpoint, ours: Tenant
) -> None:
    client = Client(headers={"Sec-Fetch-Site": "cross-site"})
    client.cookies["kodosumi_jwt"] = access_token_for(ours.person("operator"))
    ids, body = endpoint.ids(ours), endpoint.body and endpoint.body(ours)
    before = ours.rows()

    response = call(client, endpoint, ours, ids=ids, body=body)

    assert response.status_code == 403
    assert ours.rows() == before


@pytest.mark.parametrize("endpoint", IN_KODOSUMIS_WORDS, ids=str)
def test_the_session_of_a_browser_opens_it(endpoint: Endpoint, ours: Tenant) -> None:
    browser = Client()
    browser.force_login(ours.person("operator").user)

    response = call(browser, endpoint, ours)

    assert response.status_code == endpoint.status


@pytest.mark.parametrize(
    "endpoint", [each for each in IN_KODOSUMIS_WORDS if each.method == "DELETE"], ids=str
)
def test_a_change_in_a_session_needs_the_token_of_a_form(endpoint: Endpoint, ours: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ours.person("operator").user)
    ids, body = endpoint.ids(ours), endpoint.body and endpoint.body(ours)
    before = ours.rows()

    response = call(browser, endpoint, ours, ids=ids, body=body)

    assert response.status_code == 403
    assert ours.rows() == before
