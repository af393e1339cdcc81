"""Requests to /outputs that wait for an execution."""

import pytest
from django.test import Client

from conftest import ClientFor
from organizations.models import Membership


@pytest.fixture
def client(viewer: Membership, client_for: ClientFor) -> Client:
    return client_for(viewer)


def test_an_extended_request_is_asked_for_again_by_the_server(client: Client) -> None:
    answer = client.get("/outputs/status/unknown?extended=true")

    assert answer.status_code == 404
    assert callable(answer.wait)


@pytest.mark.parametrize("query", ["", "?extended=false", "?extended=0"])
def test_without_the_parameter_a_request_does_not_wait(client: Client, query: str) -> None:
    answer = client.get(f"/outputs/status/unknown{query}")

    assert answer.json()["code"] == "EXECUTION_NOT_FOUND"
    assert not hasattr(answer, "wait")


def test_extended_is_a_boolean(client: Client) -> None:
    answer = client.get("/outputs/status/unknown?extended=maybe")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"extended": ["Must be true or false."]}
