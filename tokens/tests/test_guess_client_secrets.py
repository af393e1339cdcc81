"""Guessing client secrets: how many guesses are answered, and how many are recorded."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.db.models import F

from agents.models import Agent
from agents.tests.factories import make_agent
from core.throttling import RECORDED_FAILURES, Guesses
from organizations.actors import Actor
from organizations.audit.log import record_event
from organizations.models import (
    UNIDENTIFIED_ORGANIZATION_ID,
    Attempt,
    AuditEvent,
    Organization,
    Principal,
)
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from organizations.tests.factories import make_organization
from tokens.models import TokenEvent
from tokens.tests.clients import FormClient, basic
from tokens.tests.factories import make_credential

URLS = ["/api/v1/token", "/api/v1/token/introspect", "/api/v1/token/revoke"]
FORM = {"grant_type": "client_credentials", "token": "x"}
WRONG = "sk_live_wrong"


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read"])


@pytest.fixture
def secret(agent: Agent) -> str:
    return make_credential(agent)[1]


def ask(client_id: object, secret: str, address: str = "192.0.2.1", url: str = URLS[0]) -> Any:
    return FormClient(REMOTE_ADDR=address).post(url, FORM, headers=basic(client_id, secret))


def statuses(answers: list[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


def records(organization_id: object) -> tuple[list[dict[str, Any]], int]:
    """The audit events of failed clients, oldest first, and the number of refused requests."""
    with organization_scope(Organization.objects.get(pk=organization_id)):
        failed = AuditEvent.objects.filter(action="auth.failed").order_by("sequence")
        refused = TokenEvent.objects.filter(outcome=TokenEvent.Outcome.REFUSED)
        return [event.metadata for event in failed], refused.count()


def pass_a_minute() -> None:
    """Move all counters a minute back, without deleting any."""
    Attempt.objects.update(started_at=F("started_at") - timedelta(minutes=1))


@pytest.mark.parametrize("url", URLS)
def test_ten_guesses_a_minute_are_answered_whichever_endpoint_is_asked(
    url: str, agent: Agent, secret: str
) -> None:
    first = [ask(agent.pk, WRONG, url=URLS[number % 3]) for number in range(10)]

    right, wrong = ask(agent.pk, secret, url=url), ask(agent.pk, WRONG, url=url)

    assert statuses(first) == [401] * 10
    assert statuses([right, wrong]) == [429, 429]
    assert right.content == wrong.content
    assert all(1 <= int(answer["Retry-After"]) <= 60 for answer in (right, wrong))
    assert ask(agent.pk, secret, "192.0.2.2", url).status_code == 200
    pass_a_minute()
    assert ask(agent.pk, secret, url=url).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("url", URLS)
def test_an_address_fails_a_hundred_times_a_minute_whomever_it_names(
    url: str, agent: Agent, secret: str
) -> None:
    answers = [ask(uuid4(), WRONG, url=url) for _ in range(102)]

    assert statuses(answers) == [401] * 100 + [429] * 2
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert ask(agent.pk, secret, url=url).status_code == 429
    assert ask(agent.pk, secret, "192.0.2.2", url).status_code == 200


def test_one_client_that_never_stops_does_not_shut_out_its_neighbours(
    agent: Agent, secret: str
) -> None:
    """Only failures that were answered count for the address."""
    broken = uuid4()
    answers = [ask(broken, WRONG) for _ in range(150)]

    assert statuses(answers) == [401] * 10 + [429] * 140
    assert ask(agent.pk, secret).status_code == 200


def test_a_network_of_version_six_counts_as_one_address(agent: Agent, secret: str) -> None:
    answers = [ask(agent.pk, WRONG, f"2001:db8:1:2::{number + 1:x}") for number in range(11)]

    assert statuses(answers) == [401] * 10 + [429]
    assert ask(agent.pk, secret, "2001:db8:1:2:ffff::9").status_code == 429
    assert ask(agent.pk, secret, "2001:db8:1:3::1").status_code == 200
    assert ask(agent.pk, WRONG, "::ffff:192.0.2.7").status_code == 401


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    def run(number: int) -> Any:
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", URLS[:2])
def test_parallel_guesses_get_no_more_answers_than_others(url: str) -> None:
    agent = make_agent(make_organization())
    _, secret = make_credential(agent)
    gate = threading.Barrier(16)

    def guess(_: int) -> list[int]:
        gate.wait()
        return statuses([ask(agent.pk, WRONG, url=url) for _ in range(6)])

    answers = Counter(status for found in in_threads(16, guess) for status in found)

    # Behind the others, some may wait longer than a request for its turn: 503.
    assert answers.keys() <= {401, 429, 503}
    assert (answers[401], answers.total()) == (10, 96)
    assert ask(agent.pk, secret, url=url).status_code == 429
    assert ask(agent.pk, secret, "192.0.2.2", url).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", URLS[:2])
def test_a_right_guess_waits_for_the_wrong_ones_under_way(url: str) -> None:
    """Among many parallel guesses, the right one is answered in turn, not because it is right."""
    agent = make_agent(make_organization())
    _, secret = make_credential(agent)
    statuses([ask(agent.pk, WRONG) for _ in range(9)])
    pair = Guesses.at("token", agent.pk, "192.0.2.1").keys[0]
    with psycopg.connect(**connection.get_connection_params()) as another:
        another.execute("UPDATE organizations_attempt SET attempts = 10 WHERE key = %s", [pair])
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(in_threads, 1, lambda _: ask(agent.pk, secret, url=url))
            until_it_waits(answer, another)
            another.commit()

            assert statuses(answer.result()) == [429]


@pytest.mark.parametrize("url", URLS)
def test_who_knows_a_client_id_cannot_flood_its_organization(url: str, agent: Agent) -> None:
    answers = [ask(agent.pk, WRONG, f"198.51.100.{number}", url) for number in range(60)]

    recorded, refused = records(agent.organization_id)
    assert statuses(answers) == [401] * 60
    assert len(recorded) == RECORDED_FAILURES.limit
    assert refused == (RECORDED_FAILURES.limit if url == URLS[0] else 0)
    assert not any("notRecorded" in metadata for metadata in recorded)

    pass_a_minute()
    ask(agent.pk, WRONG, "198.51.100.99", url)
    ask(agent.pk, WRONG, "198.51.100.98", url)

    recorded, _ = records(agent.organization_id)
    omitted = [metadata.get("notRecorded") for metadata in recorded[RECORDED_FAILURES.limit :]]
    assert omitted == [60 - RECORDED_FAILURES.limit, None]


def test_unknown_clients_cannot_flood_the_log_of_nobody(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.throttling.BUCKETS", 1)

    answers = [ask(uuid4(), WRONG, f"198.51.100.{number}") for number in range(60)]

    recorded, refused = records(UNIDENTIFIED_ORGANIZATION_ID)
    assert statuses(answers) == [401] * 60
    assert len(recorded) == refused == RECORDED_FAILURES.limit
    pass_a_minute()
    ask(uuid4(), WRONG, "198.51.100.99")
    recorded, _ = records(UNIDENTIFIED_ORGANIZATION_ID)
    assert recorded[-1]["notRecorded"] == 60 - RECORDED_FAILURES.limit


def test_the_failures_of_another_organization_are_not_reported(
    agent: Agent, other_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.throttling.BUCKETS", 1)
    theirs = make_agent(other_organization)
    for number in range(60):
        ask(theirs.pk, WRONG, f"198.51.100.{number}")

    pass_a_minute()
    ask(agent.pk, WRONG)

    assert records(agent.organization_id)[0] == [{"reason": "wrong_secret"}]


def test_known_and_unknown_clients_are_recorded_alike(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket is full for both. Otherwise the time that recording takes would tell them apart."""
    monkeypatch.setattr("core.throttling.BUCKETS", 1)
    for number in range(RECORDED_FAILURES.limit):
        ask(uuid4(), WRONG, f"198.51.100.{number}")

    ask(agent.pk, WRONG)

    assert records(agent.organization_id) == ([], 0)


def test_records_of_a_client_that_asks_for_too_much_are_limited(agent: Agent, secret: str) -> None:
    """The client is authenticated, so the refusal is not a guess."""
    refused_scope = FORM | {"scope": "admin:orgs"}
    client = FormClient(REMOTE_ADDR="192.0.2.1")

    answers = [
        client.post(URLS[0], refused_scope, headers=basic(agent.pk, secret)) for _ in range(30)
    ]

    assert statuses(answers) == [400] * 30
    assert records(agent.organization_id) == ([], RECORDED_FAILURES.limit)
    assert ask(agent.pk, secret).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", URLS[:2])
def test_a_failure_beyond_what_is_recorded_waits_for_no_audit_log(url: str) -> None:
    organization = make_organization()
    agent = make_agent(organization)
    for number in range(RECORDED_FAILURES.limit):
        ask(agent.pk, WRONG, f"198.51.100.{number}")
    is_held, is_answered = threading.Event(), threading.Event()

    def append(_: int) -> None:
        with organization_scope(organization):
            record_event("org.updated", actor=Actor.for_system(organization, "test"))
            is_held.set()
            assert is_answered.wait(60)

    with ThreadPoolExecutor(1) as pool:
        appending = pool.submit(in_threads, 1, append)
        assert is_held.wait(60)
        answer = ask(agent.pk, WRONG, "198.51.100.99", url)
        is_answered.set()
        appending.result()

    assert answer.status_code == 401


def test_an_unknown_client_fails_as_a_known_one_does(agent: Agent) -> None:
    """Both get the same responses at the same points of the window."""
    unknown = uuid4()
    assert not Principal.objects.filter(pk=unknown).exists()

    answers = {
        client_id: [ask(client_id, WRONG) for _ in range(12)] for client_id in (agent.pk, unknown)
    }

    known, other = ([(a.status_code, a.content) for a in each] for each in answers.values())
    assert known == other
