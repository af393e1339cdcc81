"""Generated requests show that the API conforms to its OpenAPI document.

`make fuzz` sends thousands, in all phases, to a server. The coverage phase is left to it: it takes
longer to generate than all of these tests.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from organizations.actors import Scope
from tests.endpoints import ENDPOINTS
from tests.fuzz import formats  # noqa: F401 - registers them
from tests.fuzz.rules import keep, parts_allowed
from tests.routes import openapi_document
from tests.tenants import Tenant
from tokens.tests.factories import access_token_for, make_credential

pytestmark = pytest.mark.slow

ROWS = {(each.method, each.path): each for each in ENDPOINTS}
CONFIGURATION = Path(__file__).parent / "fuzz" / "schemathesis.toml"
StartResponse = Callable[..., Any]


def undoing(application: Callable[..., Iterable[bytes]]) -> Callable[..., list[bytes]]:
    """The application with each request rolled back, so that none affects the next."""

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
    """Let requests share the test's connection, which they would otherwise close."""
    signals = [request_started, request_finished]
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


configuration = schemathesis.Config.from_path(CONFIGURATION)
configuration.projects.default.phases.update(phases=["examples", "fuzzing"])
api = schemathesis.openapi.from_dict(openapi_document(), config=configuration)
api.app = undoing(get_wsgi_application())


@api.parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_conforms_to_its_document(case: Any, ours: Tenant) -> None:
    row = ROWS[case.operation.method.upper(), case.path]
    ours.keep(row.ids, access_token_of_the_owner, access_token_of_the_agent, basic_of_an_agent)
    if case.path_parameters and "path" in parts_allowed(case):
        case.path_parameters |= ours.kept(row.ids)
    proof = access_token_of_the_owner if row.role else access_token_of_the_agent
    proof = basic_of_an_agent if row.is_form else proof

    keep(case, row, ours)

    excluded = []
    if [] in (case.query or {}).values():  # sent without any parameter
        excluded.append(negative_data_rejection)
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
