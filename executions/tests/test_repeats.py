"""Repeated requests are harmless, whatever happened since; requests that differ are refused."""

from typing import Any

import pytest

from agents.tests.factories import make_agent
from executions.tests.engine import URL, append, line, post, report

FIRST = {
    "executionId": "run-1",
    "summary": "Weekly",
    "description": "Every Monday.",
    "tags": ["w"],
    "inputs": {"a": 1, "b": [1.5, "ä"]},
    "startedAt": "2026-11-21T10:00:00Z",
    "leaseSeconds": 60,
}


@pytest.fixture
def client(organization, client_for):
    return client_for(make_agent(organization))


def change(client, url: str, body: dict[str, Any], status: int = 200) -> Any:
    answer = client.patch(url, body, "application/json", headers={"X-Lease-Generation": "1"})
    assert answer.status_code == status, answer.content
    return answer.json()


def test_an_engine_that_starts_again_finds_its_run_whatever_became_of_it(client):
    post(client, URL, FIRST, 201)
    url = f"{URL}/run-1"
    change(client, url, {"summary": "Weekly, third part"})
    append(client, url, line("a"), **{"X-Lease-Generation": "1"})
    post(client, f"{url}/stop")

    again = post(client, URL, FIRST, 200)

    assert (again["status"], again["summary"]) == ("cancelled", "Weekly, third part")
    assert post(client, URL, dict(reversed(FIRST.items())), 200) == again


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("summary", "Weekly, third part"),
        ("description", ""),
        ("tags", []),
        ("inputs", {"a": 2, "b": [1.5, "ä"]}),
        ("startedAt", "2026-11-21T10:00:01Z"),
        ("leaseSeconds", 61),
        ("status", "starting"),
        ("summary", None),
        ("leaseSeconds", None),
    ],
)
def test_another_run_under_the_id_is_refused_and_the_field_named(client, name, value):
    post(client, URL, FIRST, 201)
    change(client, f"{URL}/run-1", {"summary": "Weekly, third part"})
    other = FIRST | {name: value}
    if value in (None, ""):
        del other[name]

    refused = post(client, URL, other, 409)

    assert refused["code"] == "EXECUTION_EXISTS"
    assert refused["details"] == {name: ["This differs from what was sent before."]}


def test_another_agents_id_is_taken_without_a_word_about_its_run(client, organization, client_for):
    post(client_for(make_agent(organization)), URL, FIRST, 201)

    refused = post(client, URL, FIRST, 409)

    assert (refused["code"], "details" in refused) == ("EXECUTION_EXISTS", False)


@pytest.mark.parametrize(
    "end",
    [
        {"status": "finished", "final": {"Markdown": {"body": "first"}}},
        {"status": "finished"},
        {"status": "error", "error": "ValueError: x", "final": "half"},
    ],
)
def test_an_end_may_be_reported_again(client, end):
    url = report(client)

    first = post(client, f"{url}/finish", end)

    assert post(client, f"{url}/finish", end) == first


@pytest.mark.parametrize(
    ("other", "details"),
    [
        ({"final": "SECOND"}, {"final": ["This differs from what was sent before."]}),
        ({"final": None}, {"final": ["This differs from what was sent before."]}),
        ({"error": "and an error"}, {"error": ["This differs from what was sent before."]}),
        ({"status": "error"}, {"status": "finished"}),
    ],
)
def test_another_end_is_refused_and_the_field_named(client, other, details):
    url, end = report(client), {"status": "finished", "final": "first"}
    first = post(client, f"{url}/finish", end)

    refused = post(client, f"{url}/finish", end | other, 409)

    assert refused["code"] == "EXECUTION_ENDED"
    assert refused["details"] == {"status": "finished"} | details
    assert client.get(url).json() == first


def test_after_a_stop_only_the_bare_end_is_no_news(client):
    url = report(client)
    post(client, f"{url}/stop")

    assert post(client, f"{url}/finish", {"status": "cancelled"})["status"] == "cancelled"
    refused = post(client, f"{url}/finish", {"status": "cancelled", "final": "lost"}, 409)
    assert refused["details"] == {"status": "cancelled", "final": ["It had already ended."]}


def test_after_a_stop_figures_are_refused_and_after_another_end_taken(client):
    stopped, finished = report(client, leaseSeconds=60), report(client, leaseSeconds=60)
    post(client, f"{stopped}/stop")
    lease = {"X-Lease-Generation": "1"}
    post(client, f"{finished}/finish", {"status": "finished"}, **lease)

    assert change(client, stopped, {"inputTokens": 5}, 409)["code"] == "EXECUTION_ENDED"
    assert client.get(stopped).json()["inputTokens"] is None
    assert change(client, finished, {"inputTokens": 5})["inputTokens"] == 5
