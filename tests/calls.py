"""Calling endpoints from the table and inspecting their responses."""

import base64
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.test import Client

from conftest import ClientFor
from organizations.actors import Scope
from tests.endpoint import Endpoint
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for

FORM = "application/x-www-form-urlencoded"


def call(
    client: Client,
    endpoint: Endpoint,
    tenant: Tenant,
    *,
    ids: dict[str, str] | None = None,
    body: Any = None,
    content: bytes | None = None,
    content_type: str = "",
    query: str = "",
    commits: bool = False,
    **headers: str,
) -> Any:
    """Call the endpoint as the table describes it, by default with the tenant's own ids and body.

    `content` replaces the body with raw bytes. With `commits` the view manages its own
    transactions, as in production.
    """
    if body is None and content is None and endpoint.body is not None:
        body = endpoint.body(tenant)
    url = endpoint.path.format(**(endpoint.ids(tenant) if ids is None else ids)) + (
        query and f"?{query}"
    )
    if content is None:
        content = endpoint.content or _content(client, endpoint, body)
    if not content_type and (content or endpoint.is_form):
        content_type = FORM if endpoint.is_form else "application/json"
    # A view without a transaction of its own must not roll back that of the test.
    with nullcontext() if commits else transaction.atomic():
        return client.generic(
            endpoint.method, url, data=content, content_type=content_type, headers=headers
        )


def _content(client: Client, endpoint: Endpoint, body: Any) -> bytes | str:
    if body is None:
        return b""
    if endpoint.is_form:
        return urlencode(body, doseq=True)
    encoded: str = client._encode_json(body, "application/json")
    return encoded


def bearer_of(endpoint: Endpoint, tenant: Tenant) -> Client:
    """A client with full access: the owner, or the tenant's agent where people have none."""
    agent = None if endpoint.role else tenant.entitled(tenant.agent, *Scope.values)
    token = access_token_for(agent or tenant.person("owner"))
    return Client(headers={"Authorization": f"Bearer {token}"})


def text_of(response: Any) -> str:
    """The headers and the body as one text."""
    body = b"".join(response) if response.streaming else response.content
    return body.decode("utf-8", "replace") + str(response.headers)


def assert_shows_nothing_of(tenant: Tenant, response: Any) -> None:
    """Assert that neither the tenant's word nor its ids, in any usual spelling, are in the
    response.
    """
    text = text_of(response).lower()
    for mark in tenant.marks():
        spellings = {mark, mark.replace("-", ""), base64.b64encode(mark.encode()).decode()[:-4]}
        assert not [each for each in spellings if each.lower() in text]


def caller(client_for: ClientFor, tenant: Tenant, endpoint: Endpoint) -> Client:
    """An agent with exactly the scopes in the table, or a person with the least role."""
    if endpoint.caller == "person":
        return client_for(tenant.person(endpoint.role))
    agent = tenant.agent if endpoint.caller == "itself" else tenant.another_agent()
    return client_for(tenant.entitled(agent, *endpoint.scopes))


def browser_of(tenant: Tenant, role: str) -> Client:
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(tenant.person(role).user)
    return browser
