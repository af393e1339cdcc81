"""Times without an offset are UTC everywhere, whatever the organization's zone, as the OpenAPI
document says.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.value_forms import WITHOUT_ZONE
from organizations.models import Organization
from tests.calls import bearer_of, call
from tests.endpoint import Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import body_fields, operation, query_parameters
from tests.tenants import Tenant

FAR = "Pacific/Auckland"
DOCUMENTED = [each for each in ENDPOINTS if each.is_documented]
IN_BODIES = {
    "POST /api/v1/agents/{agentId}/credentials": "2999-01-01T12:00:00",
    "POST /api/v1/agents/{agentId}/credentials/{credentialId}/rotate": "2999-01-01T12:00:00",
    "POST /api/v1/executions": "2026-01-01T12:00:00",
}
"""Operations whose body has a time, and a time that they accept."""


def takes_time(schema: dict[str, Any]) -> bool:
    return "date-time" in {each.get("format") for each in (schema, *schema.get("anyOf", ()))}


FIELDS = [
    (each, name)
    for each in DOCUMENTED
    for name, schema in body_fields(each).items()
    if takes_time(schema)
]
PARAMETERS = [
    (each, name)
    for each in DOCUMENTED
    for name, schema in query_parameters(each).items()
    if takes_time(schema)
]


@pytest.fixture
def far(ours: Tenant) -> Tenant:
    """An organization in a zone at least twelve hours from UTC."""
    Organization.objects.filter(pk=ours.organization.pk).update(time_zone=FAR)
    return ours


def test_the_document_says_so_of_every_time() -> None:
    said = {(each, name): body_fields(each)[name]["description"] for each, name in FIELDS}
    for each, name in PARAMETERS:
        (found,) = (p for p in operation(each)["parameters"] if p["name"] == name)
        said[each, name] = found["description"]

    assert {str(each) for each, _ in FIELDS} == IN_BODIES.keys()
    assert len(PARAMETERS) == 16
    assert [key for key, text in said.items() if not text.endswith(WITHOUT_ZONE)] == []


@pytest.mark.parametrize(("endpoint", "name"), FIELDS, ids=str)
def test_a_time_in_a_body(endpoint: Endpoint, name: str, far: Tenant) -> None:
    time = IN_BODIES[str(endpoint)]
    sent = {time: f"{time}Z", f"{time}Z": f"{time}Z", f"{time}+12:00": f"{time[:11]}00:00:00Z"}

    answered = {
        each: call(
            bearer_of(endpoint, far),
            endpoint,
            far,
            body=endpoint.body(far) | {name: each},  # type: ignore[misc]
        ).json()[name]
        for each in sent
    }

    assert answered == sent


@pytest.mark.parametrize("endpoint", [each for each, _ in FIELDS], ids=str)
def test_a_day_is_no_time_in_a_body(endpoint: Endpoint, far: Tenant) -> None:
    (name,) = (name for each, name in FIELDS if each is endpoint)

    response = call(
        bearer_of(endpoint, far),
        endpoint,
        far,
        body=endpoint.body(far) | {name: IN_BODIES[str(endpoint)][:10]},  # type: ignore[misc]
    )

    assert (response.status_code, [*response.json()["details"]]) == (400, [name])


@pytest.mark.parametrize(("endpoint", "name"), PARAMETERS, ids=str)
def test_a_time_in_a_query(endpoint: Endpoint, name: str, far: Tenant) -> None:
    """A row created now lies between half an hour ago and half an hour from now in UTC."""
    rows = endpoint.rows or next(each.rows for each, _ in PARAMETERS if each.rows_key == "errors")
    assert rows is not None
    rows(far, 1)
    now = datetime.now(UTC)
    client = bearer_of(endpoint, far)

    found = {}
    for minutes in (-30, 30):
        time = f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}"
        answer = call(client, endpoint, far, query=f"{name}={time}").json()
        found[minutes] = bool(answer.get("total", answer.get("total_executions")))

    is_start = name.startswith("from")
    assert found == {-30: is_start, 30: not is_start}
