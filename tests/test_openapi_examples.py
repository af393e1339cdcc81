"""Every operation in the OpenAPI document has true examples: they fit their schema, example
requests work as they are, and example responses resemble the product's own.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests import output_examples
from tests.calls import FORM, bearer_of, call
from tests.endpoint import CLIENT, PUBLIC, Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import openapi_document, operation
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for

METADATA = [each for each in ENDPOINTS if each.is_documented and "/.well-known/" in each.path]
DOCUMENTED = [each for each in ENDPOINTS if each.is_documented]
OURS = {
    *("email", "password", "organizationId", "refreshToken", "token", "userId", "agentId", "fid"),
    *("client_id", "client_secret", "capabilities", "owner"),
}
"""Fields that identify or authenticate somebody, which are replaced by the tenant's own."""
LEASE = "X-Lease-Generation"
PARTIAL = 206


@dataclass(frozen=True)
class Example:
    place: str
    schema: dict[str, Any]
    value: Any


def of_content(place: str, content: dict[str, Any]) -> Iterator[Example]:
    for media_type, described in content.items():
        found = described.get("examples", {})
        yield Example(
            f"{place} {media_type}", described.get("schema", {}), found.get("Example", {})
        )


def sent(endpoint: Endpoint) -> dict[str, Any]:
    """The example of the body for each media type."""
    content = operation(endpoint).get("requestBody", {}).get("content", {})
    return {kind: each["examples"]["Example"]["value"] for kind, each in content.items()}


def answers(endpoint: Endpoint) -> dict[tuple[str, str], Any]:
    """The example of each response by status and media type."""
    return {
        (status, kind): each["examples"]["Example"]["value"]
        for status, response in operation(endpoint)["responses"].items()
        if status < "300"
        for kind, each in response.get("content", {}).items()
    }


def examples(endpoint: Endpoint) -> Iterator[Example]:
    """All examples that the document must have for the operation."""
    described = operation(endpoint)
    for parameter in described.get("parameters", ()):
        shown = {"value": parameter["example"]} if "example" in parameter else {}
        yield Example(parameter["name"], parameter["schema"], shown)
    yield from of_content("body", described.get("requestBody", {}).get("content", {}))
    for status, response in described["responses"].items():
        if status < "300":
            yield from of_content(status, response.get("content", {}))


@pytest.mark.parametrize("endpoint", DOCUMENTED, ids=str)
def test_every_parameter_body_and_answer_has_an_example_that_fits_its_schema(
    endpoint: Endpoint,
) -> None:
    components = {"components": openapi_document()["components"]}
    for each in examples(endpoint):
        assert "value" in each.value, f"{each.place} has no example."
        schema = each.schema | components
        checker = OAS30Validator(schema, format_checker=oas30_format_checker)
        faults = [fault.message for fault in checker.iter_errors(each.value["value"])]
        assert faults == [], each.place


def caller(endpoint: Endpoint, tenant: Tenant) -> Client:
    """A caller with access; for lists of own executions, one who has some."""
    is_own = endpoint.path.startswith("/timeline")
    if is_own:
        output_examples.execution(tenant)
    if endpoint.path == "/timeline/list":
        return bearer_of(endpoint, tenant)
    if is_own or endpoint.caller == "person":
        token = access_token_for(tenant.person(endpoint.role))
        return Client(headers={"Authorization": f"Bearer {token}"})
    is_client = endpoint.access == CLIENT and not endpoint.scopes
    return Client() if endpoint.access == PUBLIC or is_client else bearer_of(endpoint, tenant)


def with_own(endpoint: Endpoint, tenant: Tenant, shown: Any) -> Any:
    """The example with names and credentials replaced by the tenant's own."""
    if not isinstance(shown, dict):
        return shown
    working = {"organizationId": tenant.organization.public_id}
    working |= endpoint.body(tenant) if endpoint.body else {}
    ours = OURS | ({"name"} if "password" in shown else set())
    return shown | {name: working[name] for name in shown.keys() & working.keys() & ours}


@pytest.mark.parametrize(
    ("endpoint", "media_type"),
    [(each, kind) for each in DOCUMENTED for kind in sent(each)],
    ids=str,
)
def test_example_requests_work(endpoint: Endpoint, media_type: str, ours: Tenant) -> None:
    body = with_own(endpoint, ours, sent(endpoint)[media_type])
    content = None
    if media_type not in {"application/json", FORM}:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
    response = call(
        caller(endpoint, ours),
        endpoint,
        ours,
        body=body,
        content=content,
        content_type=media_type,
    )

    assert response.status_code == endpoint.status, response.content


def parameters(endpoint: Endpoint, place: str) -> dict[str, Any]:
    return {
        each["name"]: each["example"]
        for each in operation(endpoint).get("parameters", ())
        if each["in"] == place
    }


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [(each, name) for each in DOCUMENTED for name in parameters(each, "query")],
    ids=str,
)
def test_every_example_of_a_query_parameter_works(
    endpoint: Endpoint, name: str, ours: Tenant
) -> None:
    value = parameters(endpoint, "query")[name]
    if isinstance(value, list):
        (value,) = value
    if name == "cursor":
        value = cursor_of(endpoint, ours)
    elif name in {"agent", "agentId"}:
        value = ours.agent.pk
    elif name in {"credentialId", "secret"}:
        value = ours.credential.pk
    elif value == parameters_of_documents()["fid"]:
        value = output_examples.execution(ours).fid

    text = str(value).lower() if isinstance(value, bool) else str(value)
    response = call(caller(endpoint, ours), endpoint, ours, query=f"{name}={text}")

    assert response.status_code == endpoint.status, response.content


def parameters_of_documents() -> dict[str, Any]:
    return {
        name: value
        for endpoint in DOCUMENTED
        for place in ("path", "query", "header")
        for name, value in parameters(endpoint, place).items()
    }


def cursor_of(endpoint: Endpoint, tenant: Tenant) -> str:
    """A cursor from the list's response, since cursors are signed for a list and an
    organization.
    """
    assert endpoint.rows is not None
    endpoint.rows(tenant, 3)
    size = "limit" if "limit" in parameters(endpoint, "query") else "pp"
    first = call(caller(endpoint, tenant), endpoint, tenant, query=f"{size}=1").json()
    cursor: str = first["nextCursor"] if "nextCursor" in first else first["next_cursor"]
    assert cursor
    return cursor


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [(each, name) for each in DOCUMENTED for name in parameters(each, "header")],
    ids=str,
)
def test_every_example_of_a_header_works(endpoint: Endpoint, name: str, ours: Tenant) -> None:
    ids, client = endpoint.ids(ours), caller(endpoint, ours)
    if name == LEASE:
        client.post(
            f"/api/v1/executions/{ids['executionId']}/heartbeat",
            {"leaseSeconds": 60},
            "application/json",
        )
    value = str(parameters(endpoint, "header")[name])

    response = call(client, endpoint, ours, ids=ids, **{name: value})

    assert response.status_code == (PARTIAL if name == "Range" else endpoint.status)


@pytest.mark.parametrize(
    ("endpoint", "media_type"),
    sorted({(each, kind) for each in DOCUMENTED for _, kind in answers(each)}, key=str),
    ids=str,
)
def test_an_answer_looks_like_its_example(
    endpoint: Endpoint, media_type: str, ours: Tenant
) -> None:
    if endpoint.rows:
        endpoint.rows(ours, 2)
    status = str(endpoint.status)
    content = operation(endpoint)["responses"][status]["content"][media_type]

    query = "format=csv" if media_type == "text/csv" else ""
    response = call(caller(endpoint, ours), endpoint, ours, query=query)

    assert response["Content-Type"].partition(";")[0] == media_type
    read = READERS.get(media_type, bytes)
    found = b"".join(response) if response.streaming else response.content
    shown = content["examples"]["Example"]["value"]
    if media_type != "application/json":
        assert read(found) == read(shown if isinstance(shown, bytes) else text(shown).encode())
    else:
        assert_alike(content.get("schema", {}), shown, json.loads(found), "")


def text(shown: Any) -> str:
    """The example in serialized form; for a stream, one of its events."""
    if isinstance(shown, dict):
        return "".join(f"{name}: {value}\r\n" for name, value in shown.items())
    return str(shown)


READERS: dict[str, Callable[[bytes], Any]] = {
    "text/csv": lambda found: found.decode("utf-8-sig").partition("\r\n")[0],
    "application/jsonl": lambda found: sorted(json.loads(found.partition(b"\n")[0])),
    "text/event-stream": lambda found: set(re.findall(rb"^(id|event|data): ", found, re.M)),
    "text/html": lambda found: found.partition(b"\n")[0],
    "application/octet-stream": lambda found: bool(found),
}
"""The parts of a response that must equal its example: the columns, the names, the first line."""


def assert_alike(schema: dict[str, Any], shown: Any, answered: Any, place: str) -> None:
    """Assert that both have the same fields, wherever the document names fields."""
    if "$ref" in schema:
        schema = openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    named = schema.get("properties", {})
    if named:
        assert shown.keys() == answered.keys(), place
        for name, inner in named.items():
            if shown.get(name) and answered.get(name):
                assert_alike(inner, shown[name], answered[name], f"{place}.{name}")
    elif isinstance(shown, list) and shown and answered:
        assert_alike(schema["items"], shown[0], answered[0], f"{place}[0]")


@pytest.mark.parametrize("endpoint", METADATA, ids=str)
def test_public_metadata_looks_like_its_example(endpoint: Endpoint, ours: Tenant) -> None:
    shown = answers(endpoint)["200", "application/json"]

    answered = call(Client(), endpoint, ours).json()

    assert shown.keys() == answered.keys()
    for name in shown.keys() - {"keys"}:
        assert without_address(shown[name]) == without_address(answered[name])


def without_address(value: Any) -> Any:
    """A value of the metadata without the server's URL."""
    if isinstance(value, list):
        return [without_address(each) for each in value]
    return urlsplit(value).path if "://" in value else value
