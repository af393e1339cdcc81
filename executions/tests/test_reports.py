"""/api/v1/executions: an external engine reports its runs with its agent's token."""

from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Agent
from agents.tests.factories import make_agent
from executions.models import Execution, ExecutionEvent
from executions.tests.engine import URL, append, line, post, report
from executions.tests.factories import FAILED, RUNNING, START, make_execution, make_user_of
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, email="reporter@agents.example.com")


@pytest.fixture
def client(agent: Agent, client_for: Callable[..., Client]) -> Client:
    return client_for(agent)


def test_an_agent_names_no_other_whatever_its_own_name_is(organization, client_for):
    """Unknown stands for runs that belong to no agent."""
    client = client_for(make_agent(organization, email="Unknown@agents.example.com"))
    url = report(client, summary="Payroll")
    append(client, url, {"kind": "meta", "message": {"dict": {"summary": "Other"}}})

    assert client.get(url).json()["agentName"] == "Unknown"


def test_a_whole_run(organization, agent, client):
    member = make_membership(organization, "viewer")
    made = post(
        client,
        URL,
        {
            "summary": "Weekly report",
            "description": "Every Monday.",
            "tags": ["report", "weekly"],
            "inputs": {"topic": "Ä", "pages": 3},
            "startedAt": "2026-11-21T10:00:00.5Z",
            "userId": str(member.user_id),
        },
        201,
    )
    url = f"{URL}/{made['executionId']}"
    append(client, url, line("reading"), {"kind": "result", "message": {"Text": {"body": "x"}}})
    client.patch(
        url,
        {"inputTokens": 1200, "outputTokens": 80, "costUsd": "0.012500"},
        content_type="application/json",
    )
    post(client, f"{url}/finish", {"status": "finished", "final": {"Markdown": {"body": "**ok**"}}})

    answer = client.get(url).json()

    ended_at = answer.pop("endedAt")
    assert ended_at > "2026-11-21T10:00:00.5Z"
    credential_id = answer.pop("credentialId")
    with organization_scope(organization):
        assert str(Execution.objects.get().credential_id) == credential_id
    assert answer == {
        "executionId": made["executionId"],
        "agentId": str(agent.pk),
        "agentName": "reporter",
        "userId": str(member.user_id),
        "status": "finished",
        "summary": "Weekly report",
        "description": "Every Monday.",
        "tags": ["report", "weekly"],
        "inputs": {"topic": "Ä", "pages": 3},
        "startedAt": "2026-11-21T10:00:00.500000Z",
        "error": "",
        "final": {"Markdown": {"body": "**ok**"}},
        "inputTokens": 1200,
        "outputTokens": 80,
        "costUsd": "0.0125",
        "lastSequence": 7,
        "leaseGeneration": 0,
        "leaseExpiresAt": None,
    }


def test_the_agent_cannot_be_claimed(client):
    answer = post(client, URL, {"agentName": "somebody", "agentId": "x"}, 400)

    assert answer["details"].keys() == {"agentName", "agentId"}


def test_people_get_an_error_that_only_agents_report(organization, client_for):
    owner = client_for(make_membership(organization, "owner"))
    execution = make_execution(organization, RUNNING)

    assert "Only an agent can report" in post(owner, URL, {}, 403)["message"]
    url = f"{URL}/{execution.fid}"
    assert "Only the agent that runs" in append(owner, url, line("a"), status=403)["message"]


def test_creating_again_gives_the_first_one(client):
    first = post(client, URL, {"executionId": "run-1", "inputs": {"a": 1}}, 201)

    assert post(client, URL, {"executionId": "run-1", "inputs": {"a": 1}}, 200) == first
    other = post(client, URL, {"executionId": "run-1", "inputs": {"a": 2}}, 409)
    assert other["code"] == "EXECUTION_EXISTS"


@pytest.mark.parametrize("wrong", ["../x", "a/b", ".hidden", "x" * 65, "ä", ""])
def test_an_id_of_ones_own_is_plain(client, wrong):
    assert "executionId" in post(client, URL, {"executionId": wrong}, 400)["details"]


def test_an_unknown_status_is_no_transition(client):
    url = report(client)

    answer = append(client, url, {"kind": "status", "message": "dancing"}, status=409)

    assert answer["code"] == "ILLEGAL_TRANSITION"


@pytest.mark.parametrize(
    "wrong",
    [
        {"costUsd": 0.25},
        {"costUsd": "-0.01"},
        {"costUsd": "NaN"},
        {"costUsd": "0.123456789"},
        {"costUsd": "99999999999.0"},
        {"inputTokens": -1},
        {"outputTokens": 2**63},
        {"cost": "1"},
    ],
)
def test_figures_are_checked(client, wrong):
    url = report(client)

    answer = client.patch(url, wrong, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["details"].keys() == wrong.keys()


def test_the_summary_can_change(client):
    url = report(client, summary="Draft", tags=["a"])

    answer = client.patch(url, {"summary": "Final"}, content_type="application/json").json()

    assert (answer["summary"], answer["tags"]) == ("Final", ["a"])


def test_inputs_that_json_cannot_spell_are_refused(client):
    answer = client.post(URL, b'{"inputs": {"a": 1e400}}', content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["message"] == "A number is too large."


def test_a_lease_is_shown_with_every_report(client):
    made = post(client, URL, {"leaseSeconds": 30}, 201)
    url = f"{URL}/{made['executionId']}"
    mine = {"X-Lease-Generation": "1"}

    assert made["leaseGeneration"] == 1
    assert made["leaseExpiresAt"]
    assert "X-Lease-Generation" in append(client, url, line("a"), status=400)["details"]
    append(client, url, line("a"), **mine)
    taken = post(client, f"{url}/heartbeat", {"takeOver": True})
    assert taken["leaseGeneration"] == 2
    assert append(client, url, line("b"), status=409, **mine)["code"] == "LEASE_LOST"
    post(client, f"{url}/finish", {"status": "finished"}, **{"X-Lease-Generation": "2"})


@pytest.mark.parametrize("wrong", ["-1", "x", "", "1.0", "9" * 30, "٣"])
def test_a_lease_is_a_number(client, wrong):
    url = report(client)

    headers = {"X-Lease-Generation": wrong}
    answer = client.post(f"{url}/heartbeat", {}, content_type="application/json", headers=headers)

    assert answer.status_code == 400
    assert "X-Lease-Generation" in answer.json()["details"]


@pytest.mark.parametrize(
    ("final", "stored"),
    [
        ("done", '{"Text":{"body":"done"}}'),
        ({"Markdown": {"body": "**ok**"}}, '{"Markdown":{"body":"**ok**"}}'),
        ({"total": 3}, '{"dict":{"total":3}}'),
        ([1, 2], '{"list":[1,2]}'),
        (False, '{"bool":false}'),
    ],
)
def test_a_result_has_a_form(organization, client, final, stored):
    url = report(client)

    post(client, f"{url}/finish", {"status": "finished", "final": final})

    with organization_scope(organization):
        assert Execution.objects.get().final == stored


def test_an_operator_stops_and_deletes_runs_of_others(organization, agent, client, client_for):
    operator = client_for(make_membership(organization, "operator"))
    url = report(client)

    assert operator.delete(url).json()["code"] == "EXECUTION_LIVE"
    assert post(operator, f"{url}/stop")["status"] == "cancelled"
    assert append(client, url, line("a"), status=409)["code"] == "EXECUTION_ENDED"
    assert operator.delete(url).status_code == 204
    assert client.get(url).json()["code"] == "EXECUTION_NOT_FOUND"


def test_an_agent_sees_and_changes_its_own_only(organization, client, client_for):
    other = client_for(make_agent(organization))
    url = report(client)

    for answer in (
        other.get(url),
        other.delete(url),
        other.post(f"{url}/stop"),
        other.post(f"{url}/events", {"events": [line("a")]}, content_type="application/json"),
        other.patch(url, {"summary": "x"}, content_type="application/json"),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "EXECUTION_NOT_FOUND"
    assert other.get(URL).json()["total"] == 0
    assert client.get(URL).json()["total"] == 1


def test_the_list_is_filtered(organization, agent, client_for):
    operator = client_for(make_membership(organization, "operator"))
    viewer = make_membership(organization, "viewer")
    failed = make_execution(organization, FAILED, start=START, agent=agent, agent_name="alpha")
    own = make_execution(
        organization, RUNNING, start=int(START) + 86_400, user=make_user_of(viewer)
    )

    def found(query: str, client: Client = operator) -> list[str]:
        answer = client.get(f"{URL}?{query}")
        assert answer.status_code == 200, answer.content
        return [each["executionId"] for each in answer.json()["data"]]

    assert found("") == [own.fid, failed.fid]
    assert found("", client_for(viewer)) == [own.fid]
    assert found("status=error") == [failed.fid]
    assert found(f"agentId={agent.pk}") == [failed.fid]
    assert found("search=ALPH") == [failed.fid]
    assert found(f"search={own.fid[-6:]}") == [own.fid]
    day = failed.started_at.date().isoformat()
    assert found(f"toDate={day}") == [failed.fid]
    assert found(f"fromDate={own.started_at.isoformat().replace('+', '%2B')}") == [own.fid]


texts = st.sampled_from(["a", "b", "ä\n", ""])
batches = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), min_size=1, max_size=12)
"""Start index and number of the events in each batch that an engine sends."""


@pytest.mark.slow
@given(st.lists(texts, min_size=12, max_size=12), batches)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_replay_of_overlapping_batches_yields_the_same_events(
    organization, client, messages, sent
):
    url = report(client, status="queued")
    numbered = list(enumerate(messages, 1))
    whole = [line(text, sequence=number, timestamp=START) for number, text in numbered]
    reached = 0

    for first, number in sent:
        batch = whole[first : first + number]
        if not batch:
            continue
        is_gap = first > reached
        answer = append(client, url, *batch, status=409 if is_gap else 200)
        if is_gap:
            assert answer["details"] == {"sequence": first + 1, "nextSequence": reached + 1}
            continue
        known = min(reached - first, len(batch))
        reached = max(reached, first + len(batch))
        assert (answer["accepted"], answer["duplicates"]) == (len(batch) - known, known)
        assert answer["lastSequence"] == reached
    append(client, url, *whole)

    with organization_scope(organization):
        rows = ExecutionEvent.objects.filter(execution__fid=url.rpartition("/")[2])
        found = rows.order_by("sequence").values_list("sequence", "message", "timestamp")
        assert list(found) == [(number, text, START) for number, text in numbered]
