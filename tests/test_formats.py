"""Every operation either honours `?format=` or refuses it."""

import pytest
from django.db import transaction
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


@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
def test_each_form_is_given_or_refused(ours: Tenant, client: Client, endpoint: Endpoint) -> None:
    client = client if endpoint.role else bearer_of(endpoint, ours)
    is_known = "format" in view_of(endpoint).known_parameters()
    ids, body = endpoint.ids(ours), endpoint.body(ours) if endpoint.body else None

    for form in ("csv", "json", "xml", "api", ""):
        with transaction.atomic():
            answer = call(client, endpoint, ours, ids=ids, body=body, query=f"format={form}")
            if answer.streaming:
                b"".join(answer)
            transaction.set_rollback(True)

        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if answer.status_code == 400:
            assert list(answer.json()["details"]) == ["format"]
            assert not (is_known and form == "json")
        else:
            assert is_known, (form, answer.status_code)
            assert form in TYPES, (form, answer.status_code, kind)
            assert (answer.status_code, kind) == (endpoint.status, TYPES[form])


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
