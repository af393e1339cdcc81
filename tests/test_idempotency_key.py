"""Requests with the same Idempotency-Key are processed once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from executions.models import Execution
from organizations.api import idempotency
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.models import AnsweredRequest, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization
from tokens.models import Credential
from tokens.pruning import prune_expired

RUNS = "/api/v1/executions"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_agent(organization))


def post(client: Client, url: str, body: Any = None, **headers: str) -> Any:
    return client.post(url, body or {}, content_type="application/json", headers=headers)


def count(organization: Organization, model: Any) -> int:
    with organization_scope(organization):
        return int(model.objects.count())


def test_the_same_request_gets_the_same_answer(organization: Organization, client: Client) -> None:
    body = {"summary": "ä", "inputs": {"b": 1, "a": 1.50}}
    first = post(client, RUNS, body, **KEY)

    again = post(client, RUNS, body, **KEY)
    quoted = post(client, RUNS, body, **{"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'})

    assert "Idempotency-Replayed" not in first.headers
    for answer in (again, quoted):  # the draft writes the key in quotation marks
        assert (answer.status_code, answer.json()) == (201, first.json())
        assert answer["Idempotency-Replayed"] == "true"
    assert count(organization, Execution) == 1


def test_of_many_keys_of_a_caller_the_oldest_are_forgotten(
    organization: Organization,
    client: Client,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A heartbeat with a key of its own each time would otherwise leave a row each time."""
    monkeypatch.setattr(idempotency, "MAX_KEYS_PER_CALLER", 3)
    monkeypatch.setattr(idempotency, "KEYS_BETWEEN_CLEARINGS", 1)
    other = client_for(make_agent(organization, email="other@agents.example.com"))
    post(other, RUNS, {"summary": "another caller's"}, **KEY)
    run = post(client, RUNS, {"summary": "a run"}).json()["executionId"]
    url = f"{RUNS}/{run}/heartbeat"
    for number in range(8):
        body = {"takeOver": True}
        assert post(client, url, body, **{"Idempotency-Key": f"{number}"}).status_code == 200

    with organization_scope(organization):
        kept = AnsweredRequest.objects.order_by("created_at").values_list("key", flat=True)
        assert list(kept) == [KEY["Idempotency-Key"], "5", "6", "7"]
    again = post(client, url, {"takeOver": True}, **{"Idempotency-Key": "7"})
    assert again["Idempotency-Replayed"] == "true"


def test_another_request_with_the_same_key_is_refused(
    organization: Organization, client: Client
) -> None:
    first = post(client, RUNS, {"summary": "first"}, **KEY)

    other = post(client, RUNS, {"summary": "second"}, **KEY)
    url = f"{RUNS}/{first.json()['executionId']}/events"
    elsewhere = post(client, url, {"events": [{"kind": "stdout", "message": "a"}]}, **KEY)

    for answer in (other, elsewhere):
        assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert count(organization, Execution) == 1


def test_another_principals_key_is_another_key(
    organization: Organization, client: Client, client_for: ClientFor
) -> None:
    stranger = client_for(make_agent(organization))

    answers = [post(each, RUNS, {"summary": "x"}, **KEY) for each in (client, stranger)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert count(organization, Execution) == 2


def test_a_refused_request_leaves_no_key(organization: Organization, client: Client) -> None:
    refused = post(client, RUNS, {"summary": 7}, **KEY)

    assert refused.status_code == 400
    assert post(client, RUNS, {"summary": "seven"}, **KEY).status_code == 201
    assert count(organization, AnsweredRequest) == 1


def test_events_without_numbers_are_appended_once(client: Client) -> None:
    url = f"{RUNS}/{post(client, RUNS).json()['executionId']}"
    batch = {"events": [{"kind": "stdout", "message": "a"}]}

    answers = [post(client, f"{url}/events", batch, **KEY).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert client.get(url).json()["lastSequence"] == answers[0]["lastSequence"]


def test_the_result_of_a_run_is_not_stored_again_with_each_key(
    organization: Organization, client: Client
) -> None:
    """Stored responses are not counted, so small requests must not make the server store much."""
    body = {"executionId": "run-1", "inputs": {"text": "i" * 100_000}}
    url = f"{RUNS}/{post(client, RUNS, body).json()['executionId']}"
    post(client, f"{url}/finish", {"status": "finished", "final": "f" * 100_000})

    answers = [post(client, RUNS, body, **{"Idempotency-Key": f"{n}"}) for n in (1, 2, 2)]

    assert {answer.content for answer in answers} == {client.get(url).content}
    assert answers[2]["Idempotency-Replayed"] == "true"
    with organization_scope(organization):
        assert all(len(each.body) < 100 for each in AnsweredRequest.objects.all())


def test_deleted_rows_are_not_returned_for_a_key(
    organization: Organization, client: Client
) -> None:
    body = {"inputs": {"text": "to be forgotten"}}
    url = f"{RUNS}/{post(client, RUNS, body, **KEY).json()['executionId']}"
    post(client, f"{url}/finish", {"status": "finished"})
    assert client.delete(url).status_code == 204

    again = post(client, RUNS, body, **KEY)

    assert (again.status_code, again.json()["code"]) == (409, "EXECUTION_DELETED")
    assert count(organization, Execution) == 0
    with organization_scope(organization):
        assert "forgotten" not in AnsweredRequest.objects.get().body


@pytest.mark.parametrize("what", ["create", "rotate"])
def test_a_secret_is_not_kept_for_a_second_answer(
    organization: Organization, client_for: ClientFor, what: str
) -> None:
    agent = make_agent(organization)
    owner = client_for(make_membership(organization))
    url = f"/api/v1/agents/{agent.pk}/credentials"
    if what == "rotate":
        url += f"/{post(owner, url).json()['credentialId']}/rotate"
    first = post(owner, url, **KEY).json()
    secret = first.pop("clientSecret")

    again = post(owner, url, **KEY)

    assert (again.status_code, again.json()["code"]) == (409, "SECRET_SHOWN_ONCE")
    assert again.json()["details"] == first
    assert count(organization, Credential) == 1
    with organization_scope(organization):
        kept = AnsweredRequest.objects.get()
        assert Credential.objects.get().secret_hint == secret[-4:], "no third secret"
    assert secret not in str(vars(kept))


def test_an_invitations_link_is_not_kept(organization: Organization, client_for: ClientFor) -> None:
    owner = client_for(make_membership(organization))
    url = f"/api/v1/organizations/{organization.public_id}/invitations"
    body = {"email": "new@example.com", "role": "viewer"}
    link = post(owner, url, body, **KEY).json()["acceptUrl"]

    again = post(owner, url, body, **KEY)

    assert (again.status_code, again.json()["code"]) == (409, "SECRET_SHOWN_ONCE")
    assert again.json()["details"]["email"] == "new@example.com"
    with organization_scope(organization):
        assert link.rpartition("/")[2] not in str(vars(AnsweredRequest.objects.get()))


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "ä", "a\tb"])
def test_a_key_has_a_form(client: Client, key: str) -> None:
    answer = post(client, RUNS, **{"Idempotency-Key": key})

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["Idempotency-Key"]


def test_keys_are_forgotten_after_a_day(organization: Organization, client: Client) -> None:
    post(client, RUNS, **KEY)
    assert prune_expired()["answers to requests with a key"] == 0
    with organization_scope(organization):
        AnsweredRequest.objects.update(created_at=timezone.now() - timedelta(hours=25))

    assert prune_expired()["answers to requests with a key"] == 1
    assert count(organization, AnsweredRequest) == 0


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_moment_make_one(client_for: ClientFor) -> None:
    organization = make_organization()
    agent: Agent = make_agent(organization)
    clients = [client_for(agent) for _ in range(4)]

    def ask(client: Client) -> Any:
        try:
            return post(client, RUNS, {"summary": "x"}, **KEY)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, clients))

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.content for answer in answers}) == 1
    assert count(organization, Execution) == 1


def test_a_view_that_keeps_fields_says_how_it_reads_the_rest() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"Forgetful .* needs read_anew\(\)"):
        type("Forgetful", (OrganizationScopedViewSet,), {"kept_fields": {"create": ("id",)}})
