"""Events of an engine count in the order of their sequence, whatever its clock says, and an
error reports the state that is actually stored.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from executions import runner
from executions.models import Execution, now
from executions.tests.engine import URL, append, events_of, line, post, report
from executions.tests.factories import RUNNING, make_execution, make_file
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


@pytest.fixture
def client(agent: Agent, client_for: ClientFor) -> Client:
    return client_for(agent)


def event(kind: str, message: Any, seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """An event as an engine sends it whose clock is off by so many seconds."""
    return {"kind": kind, "message": message, "timestamp": now() + seconds} | fields


@pytest.mark.parametrize("end", ["finished", "error", "cancelled"])
@pytest.mark.parametrize("seconds", [-0.5, -30, -3600, 3600])
def test_a_run_ends_by_whatever_clock(client: Client, end: str, seconds: float) -> None:
    url = report(client)

    answer = append(
        client, url, event("stdout", "work", seconds - 1), event("status", end, seconds)
    )

    assert answer["status"] == end
    assert client.get(url).json()["status"] == end
    stream = client.get(f"/outputs/stream/{url.rpartition('/')[2]}")
    assert b"".join(stream).endswith(b"data: end of stream\r\n\r\n")
    assert append(client, url, line("late"), status=409)["details"] == {"status": end}


def test_a_clock_that_is_set_back_while_it_runs_ends_the_run_all_the_same(client: Client) -> None:
    url = report(client, status="queued")
    append(client, url, event("status", "running", 600))

    answer = append(client, url, event("error", "It broke."), event("status", "error"))

    assert answer["status"] == "error"
    assert client.get(url).json()["error"] == "It broke."


def test_an_end_that_was_taken_is_not_made_a_failure_by_the_reaper(
    organization: Organization, client: Client
) -> None:
    url = report(client, leaseSeconds=5)
    append(client, url, event("status", "finished", -1), **{"X-Lease-Generation": "1"})
    later = timezone.now() - timedelta(seconds=60)
    with organization_scope(organization):
        Execution.objects.filter(lease_expires_at__isnull=False).update(lease_expires_at=later)

    runner.reap()

    assert client.get(url).json()["status"] == "finished"


def test_the_newest_error_is_the_last_one_reported(client: Client) -> None:
    url = report(client)
    append(client, url, event("error", "first", 5), event("error", "second", -5))

    assert client.get(url).json()["error"] == "second"


def test_an_answer_with_an_earlier_time_than_its_lock_lets_the_run_go_on(client: Client) -> None:
    url = report(client)
    lock, answer = {"lid": "one", "name": "approve"}, {"lid": "one", "result": "yes"}

    assert append(client, url, event("lock", lock, 1))["status"] == "awaiting"
    assert append(client, url, event("lease", answer, -1))["status"] == "running"
    both = append(client, url, event("lock", lock | {"lid": "two"}, 1), event("lease", answer, -1))
    assert both["status"] == "awaiting"


@pytest.mark.parametrize("seconds", [-30, 0, 30])
@pytest.mark.parametrize("wanted", ["starting", "queued"])
def test_an_illegal_status_is_refused_by_whatever_clock(
    organization: Organization, client: Client, seconds: float, wanted: str
) -> None:
    url = report(client)

    refusal = append(client, url, event("status", wanted, seconds), status=409)

    assert refusal["code"] == "ILLEGAL_TRANSITION"
    assert refusal["details"] == {"status": "running", "sequence": 2}
    assert len(events_of(organization)) == 1


@pytest.mark.parametrize(
    ("batch", "code", "details"),
    [
        (
            [event("status", "running"), event("status", "starting")],
            "ILLEGAL_TRANSITION",
            {"status": "queued", "sequence": 3},
        ),
        (
            [event("status", "finished"), line("late")],
            "EVENT_AFTER_END",
            {"status": "queued", "sequence": 3},
        ),
        (
            [line("b", sequence=2), line("d", sequence=4)],
            "SEQUENCE_GAP",
            {"sequence": 4, "nextSequence": 2},
        ),
        (
            [line("c", sequence=3), line("b", sequence=2)],
            "SEQUENCE_GAP",
            {"sequence": 3, "nextSequence": 2},
        ),
        (
            [line("b", sequence=2), line("c", sequence=2)],
            "SEQUENCE_CONFLICT",
            {"sequence": 2},
        ),
    ],
)
def test_a_refusal_tells_the_state_that_holds_after_it(
    organization: Organization, client: Client, batch: list[Any], code: str, details: Any
) -> None:
    url = report(client, status="queued")
    append(client, url, line("a"))

    refusal = append(client, url, *batch, status=409)

    assert (refusal["code"], refusal["details"]) == (code, details)
    assert events_of(organization) == [(1, "stdout", "a")]
    found = client.get(url).json()
    assert (found["status"], found["lastSequence"]) == ("queued", 1)


@pytest.mark.parametrize("kind", ["lock", "lease"])
@pytest.mark.parametrize("message", [{}, {"lid": ""}, {"lid": 7}, "[]", {"name": "approve"}])
def test_a_lock_that_nobody_could_answer_is_refused(
    client: Client, kind: str, message: Any
) -> None:
    refusal = append(client, report(client), event(kind, message), status=400)

    assert refusal["details"] == {
        "events": [f"Event 0: the message of the kind {kind} needs a lid, the id of the lock."]
    }


def test_a_message_that_is_no_json_is_named_in_one_sentence(client: Client) -> None:
    refusal = append(client, report(client), event("result", "{"), status=400)

    assert refusal["details"]["events"] == [
        "Event 0: the message of the kind result must be JSON. This text is not valid JSON."
    ]


# Leases of ended executions


@pytest.mark.parametrize("header", [{}, {"X-Lease-Generation": "1"}, {"X-Lease-Generation": "7"}])
def test_an_end_is_final_whoever_held_the_lease(
    organization: Organization, client: Client, header: dict[str, str]
) -> None:
    url = report(client, leaseSeconds=5)
    with organization_scope(organization):
        Execution.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert runner.reap() == 1

    refusals = [
        append(client, url, line("late"), status=409, **header),
        post(client, f"{url}/finish", {"status": "finished"}, 409, **header),
        post(client, f"{url}/heartbeat", {}, 409, **header),
        post(client, f"{url}/heartbeat", {"takeOver": True}, 409, **header),
    ]
    patched = client.patch(url, {"inputTokens": 7}, content_type="application/json", headers=header)

    for refusal in refusals:
        assert (refusal["code"], refusal["details"]) == ("EXECUTION_ENDED", {"status": "error"})
    assert (patched.status_code, patched.json()["inputTokens"]) == (200, 7)


def test_a_former_lease_holder_does_not_learn_the_new_generation(client: Client) -> None:
    url = report(client, leaseSeconds=60)
    post(client, f"{url}/heartbeat", {"takeOver": True})

    refusal = append(client, url, line("late"), status=409, **{"X-Lease-Generation": "1"})

    assert refusal["code"] == "LEASE_LOST"
    assert "details" not in refusal


def test_the_number_of_no_lease_may_be_sent_back(client: Client) -> None:
    made = post(client, URL, {}, 201)
    header = {"X-Lease-Generation": str(made["leaseGeneration"])}

    assert header == {"X-Lease-Generation": "0"}
    assert append(client, f"{URL}/{made['executionId']}", line("a"), **header)["accepted"] == 1


# Imported executions


def test_an_imported_run_is_not_stopped_and_its_record_can_be_deleted(
    organization: Organization, client_for: ClientFor, signed_in: Any
) -> None:
    owner = make_membership(organization, "owner")
    execution = make_execution(organization, RUNNING, source="kodosumi")
    make_file(execution)
    client, url = client_for(owner), f"{URL}/{execution.fid}"

    refusal = post(client, f"{url}/stop", {}, 409)
    page = signed_in(owner).get(f"/executions/{execution.fid}").content.decode()

    assert (refusal["code"], refusal["details"]) == ("EXECUTION_IMPORTED", {"status": "running"})
    assert client.get(url).json()["status"] == "running"
    assert "Stop this run?" not in page
    assert "Delete this run?" in page
    assert "It runs elsewhere and will continue there." in page
    assert client.delete(f"/outputs/{execution.fid}").status_code == 204
    assert client.get(url).status_code == 404
