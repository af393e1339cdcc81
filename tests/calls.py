"""How the sweeps call an endpoint and look at its answer."""

import base64
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.endpoint import Endpoint
from tests.tenants import Tenant

FORM = "application/x-www-form-urlencoded"


def call(
    client: Client,
    endpoint: Endpoint,
    tenant: Tenant,
    *,
    ids: dict[str, str] | None = None,
    body: Any = None,
    query: str = "",
    **headers: str,
) -> Any:
    """Call the endpoint as the row describes it, with the tenant's own ids and body by default."""
    if body is None and endpoint.body is not None:
        body = endpoint.body(tenant)
    url = endpoint.path.format(**(endpoint.ids(tenant) if ids is None else ids)) + (
        query and f"?{query}"
    )
    how: dict[str, Any] = {"headers": headers}
    if body is not None and endpoint.is_form:
        how |= {"data": urlencode(body, doseq=True), "content_type": FORM}
    elif body is not None:
        how |= {"data": body, "content_type": "application/json"}
    elif endpoint.is_form:
        how |= {"data": "", "content_type": FORM}
    return client.generic(endpoint.method, url, **_encoded(client, how))


def _encoded(client: Client, how: dict[str, Any]) -> dict[str, Any]:
    if how.get("content_type") == "application/json":
        how["data"] = client._encode_json(how["data"], "application/json")
    return how


def text_of(response: Any) -> str:
    """The body and the headers as one text."""
    body = b"".join(response) if response.streaming else response.content
    return body.decode("utf-8", "replace") + str(response.headers)


def assert_shows_nothing_of(tenant: Tenant, response: Any) -> None:
    """Neither the tenant's word nor one of its ids, in any usual spelling, stands in the answer."""
    text = text_of(response).lower()
    for mark in tenant.marks():
        spellings = {mark, mark.replace("-", ""), base64.b64encode(mark.encode()).decode()[:-4]}
        assert not [each for each in spellings if each.lower() in text]
