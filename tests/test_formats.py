"""Every operation either honours `?format=` or refuses it."""

import pytest
from django.test import Client

from conftest import ClientFor
from tests.calls import bearer_of, call
from tests.endpoint import Endpoint
from tests.operations import OPERATIONS, view_of
from tests.routes import operation
from tests.tenants import Tenant

TYPES = {"csv": "text/csv", "json": "application/json"}


@pytest.fixture
def client(ours: Tenant, client_for: ClientFor) -> Client:
    return client_for(ours.person("owner"))


@pytest.mark.parametrize("form", ["csv", "json", "xml", "api", ""])
@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
def test_a_form_is_given_or_refused(
    ours: Tenant, client: Client, endpoint: Endpoint, form: str
) -> None:
    client = client if endpoint.role else bearer_of(endpoint, ours)
    is_known = "format" in view_of(endpoint).known_parameters()

    answer = call(client, endpoint, ours, query=f"format={form}")

    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if answer.status_code == 400:
        assert list(answer.json()["details"]) == ["format"]
        assert not (is_known and form == "json")
    else:
        assert is_known, answer.status_code
        assert form in TYPES, (answer.status_code, kind)
        assert (answer.status_code, kind) == (endpoint.status, TYPES[form])
    if hasattr(answer, "close"):
        answer.close()


def test_the_description_names_the_forms_of_each_operation() -> None:
    described = {
        str(each): "text/csv" in operation(each)["responses"]["200"].get("content", {})
        for each in OPERATIONS
        if "200" in operation(each)["responses"]
    }
    known = {
        str(each): any(renderer.format == "csv" for renderer in view_of(each).get_renderers())
        for each in OPERATIONS
        if str(each) in described
    }

    assert described == known
