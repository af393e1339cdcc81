"""Thousands of generated requests: the API does what its OpenAPI document says."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from organizations.actors import Scope
from tests.endpoints import ENDPOINTS
from tests.routes import openapi_document
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for, make_credential

pytestmark = pytest.mark.slow

ROWS = {(each.method, each.path): each for each in ENDPOINTS}
# Rules that a JSON Schema does not say. Everything else that the document allows is accepted.
RULES_BEYOND_THE_SCHEMA = {
    "POST /api/v1/agents": "A semantic version, and capabilities as resource:action.",
    "PATCH /api/v1/agents/{agentId}": "The same.",
    "POST /api/v1/agents/{agentId}/credentials": "expiresAt lies in the future.",
    "GET /api/v1/analytics/agents": "A month is over or has begun; tz is a time zone.",
    "GET /api/v1/analytics/agents/activity": "tz is a time zone.",
    "GET /api/v1/analytics/tokens": "tz is a time zone.",
    "GET /api/v1/analytics/findings": "tz is a time zone.",
    **{
        f"GET /api/dashboard/{name}": "from and to are times, in order, and not with hours."
        for name in ("running-agents", "errors", "error-groups", "timeline", "agent-stats")
    },
    "GET /api/v1/audit": "Actions have names with a dot; days are days.",
    "GET /api/v1/audit/export": "fromSequence is not above toSequence.",
    "GET /api/v1/audit/verify": "The same, and not more than 100,000 events.",
    "POST /api/v1/auth/login": "organizationId is org- and a UUID.",
    "POST /api/v1/auth/switch": "The same.",
    "GET /api/v1/executions": "fromDate and toDate are days or instants.",
    "POST /api/v1/executions": "userId is a member's; startedAt is not far ahead.",
    "POST /api/v1/executions/{executionId}/events": "Messages have the form of their kind.",
    "POST /api/v1/executions/{executionId}/files": "Paths that lead nowhere else.",
    "PUT /api/v1/executions/{executionId}/uploads/{uploadId}": "The range is the body's.",
    **{
        f"GET /files/{{fid}}/{area}/{{path}}": "A range begins inside the file."
        for area in ("in", "out")
    },
    "POST /api/v1/invitations/accept": "A password that is not easily guessed.",
    "POST /api/v1/organizations": "timeZone is a time zone; the slug is not taken.",
    "PATCH /api/v1/organizations/{organizationId}": "The same.",
    "POST /api/v1/organizations/{organizationId}/members": "Either agentId or email.",
    "PATCH /api/v1/organizations/{organizationId}/members/{memberId}": "Roles of people.",
    "POST /api/v1/resources": "The identifier is an address in normal form; names of scopes.",
    "PATCH /api/v1/resources/{resourceId}": "The names of scopes.",
    "PUT /api/v1/resources/{resourceId}/agents/{agentId}": "The scopes are the resource's.",
}
StartResponse = Callable[..., Any]


@schemathesis.serializer("application/x-ndjson")
def one_line(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def undoing(application: Callable[..., Iterable[bytes]]) -> Callable[..., list[bytes]]:
    """The application, which forgets each request: none can spoil the next one's ground."""

    def answer(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        with transaction.atomic():
            response = application(environ, start_response)
            content = [b"".join(response)]
            response.close()  # type: ignore[attr-defined]
            transaction.set_rollback(True)
        return content

    return answer


@pytest.fixture(autouse=True)
def one_connection(db: None) -> Iterator[None]:
    """Requests share the test's connection, which a request otherwise closes at its end."""
    signals = [request_started, request_finished]
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


api = schemathesis.openapi.from_dict(openapi_document())
api.config.generation.update(allow_x00=False)  # always refused: see test_bad_input.py
api.app = undoing(get_wsgi_application())


@api.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_what_its_document_says(case: Any, ours: Tenant) -> None:
    row = ROWS[case.operation.method.upper(), case.path]
    ours.keep(row.ids, access_token_of_the_owner, access_token_of_the_agent, basic_of_an_agent)
    if is_meant_to_be_good(case, "path"):
        case.path_parameters |= ours.kept(row.ids)
    proof = access_token_of_the_owner if row.role else access_token_of_the_agent
    proof = basic_of_an_agent if row.is_form else proof

    excluded = [positive_data_acceptance] if str(row) in RULES_BEYOND_THE_SCHEMA else []
    if [] in (case.query or {}).values():  # sent as no parameter at all
        excluded = [*excluded, negative_data_rejection]
    if row.is_form:  # RFC 6749 section 3.2: empty counts as left out, twice is an error
        excluded = [positive_data_acceptance, negative_data_rejection]
    case.call_and_validate(
        headers={"Authorization": ours.kept(proof)}, excluded_checks=excluded or None
    )


def access_token_of_the_owner(tenant: Tenant) -> str:
    return f"Bearer {access_token_for(tenant.person('owner'))}"


def access_token_of_the_agent(tenant: Tenant) -> str:
    return f"Bearer {access_token_for(tenant.entitled(tenant.agent, *Scope.values))}"


def basic_of_an_agent(tenant: Tenant) -> str:
    agent = tenant.entitled(tenant.agent, "tokens:read")
    pair = f"{agent.pk}:{make_credential(agent)[1]}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def is_meant_to_be_good(case: Any, part: str) -> bool:
    """Whether the document allows this part of the request."""
    modes = {kind.value: info.mode for kind, info in case.meta.components.items()}
    return bool(case.path_parameters) and modes.get(part) == GenerationMode.POSITIVE
