"""POST /api/v1/token: many requests at the same moment share statements, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from agentidp.tests.waiting import until
from analytics.rebuild import rebuild_rollups
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from tokens import issue_batches
from tokens.issue_batches import MAX_BATCH, Batches
from tokens.keys import make_first_key
from tokens.models import TokenEvent
from tokens.tests.callers import Caller

pytestmark = pytest.mark.django_db(transaction=True)
Asked = Callable[[], Any]


@pytest.fixture(autouse=True)
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    make_first_key()
    fresh = Batches()
    monkeypatch.setattr(issue_batches, "batches", fresh)
    return fresh


def sent_alone(request: Asked) -> Any:
    """The response to a request in a thread of its own."""
    try:
        return request()
    finally:
        connection.close()


@contextmanager
def together(batches: Batches, requests: Sequence[Asked]) -> Iterator[list["Future[Any]"]]:
    """Send the requests so that all of them wait while one other request is being answered."""

    with ThreadPoolExecutor(len(requests)) as pool:
        batches._is_asking = True
        sent = [pool.submit(sent_alone, each) for each in requests]
        assert until(lambda: len(batches._waiting) == len(requests))
        batches._hand_over()
        yield sent


def statuses(sent: list["Future[Any]"], seconds: float = 30) -> list[int]:
    return [each.result(timeout=seconds).status_code for each in sent]


def moments(*callers: Caller) -> set[Any]:
    found = set()
    for caller in callers:
        with organization_scope(caller.organization):
            found |= set(TokenEvent.objects.values_list("created_at", flat=True))
    return found


def test_those_that_wait_are_recorded_together(batches: Batches) -> None:
    callers = [Caller(), Caller(), Caller()]

    with together(batches, [each.ask for each in callers] * 8) as sent:
        assert statuses(sent) == [200] * 24

    tokens = {each.result().json()["access_token"] for each in sent}
    assert len(tokens) == 24
    assert len(moments(*callers)) == -(-24 // MAX_BATCH)
    for caller in callers:
        assert caller.counted() == (8, 8)
        assert rebuild_rollups(caller.organization) == ()


def test_one_after_the_other_waits_for_nobody(batches: Batches) -> None:
    caller = Caller()

    assert [caller.ask().status_code for _ in range(3)] == [200] * 3
    assert len(moments(caller)) == 3


def test_the_months_limit_is_exact(batches: Batches) -> None:
    caller, neighbour = Caller(), Caller()
    Organization.objects.filter(pk=caller.organization.pk).update(max_tokens_per_month=10)

    with together(batches, [caller.ask] * 14 + [neighbour.ask] * 2) as sent:
        found = statuses(sent)

    assert sorted(found[:14]) == [200] * 10 + [429] * 4
    assert found[14:] == [200, 200]
    assert caller.counted() == (10, 10)


def test_a_refused_neighbour_changes_nothing_for_others(batches: Batches) -> None:
    good, guesser, stopped = Caller(), Caller(), Caller()
    Organization.objects.filter(pk=stopped.organization.pk).update(status="suspended")
    guesses: list[Asked] = [lambda: guesser.ask(secret="sk_live_wrong")] * 12

    with together(batches, [good.ask, *guesses, stopped.ask, good.ask]) as sent:
        first, *guessed, refused, last = statuses(sent)

    assert (first, refused, last) == (200, 401, 200)
    assert sorted(guessed) == [401] * 10 + [429] * 2  # as many as one after the other
    assert good.counted() == (2, 2)


SOON = 4.0
"""Seconds: more than a batch waits for a lock, and less than a single request does."""
LOCKS = {
    "the month's row": "SELECT FROM tokens_monthlyusage WHERE organization_id = %s FOR UPDATE",
    "an hour of a rollup": (
        "SELECT FROM analytics_hourusage WHERE organization_id = %s FOR UPDATE"
    ),
    "the credential": "SELECT FROM tokens_credential WHERE organization_id = %s FOR UPDATE",
}


@contextmanager
def locking(lock: str, caller: Caller) -> Iterator[psycopg.Connection]:
    """Hold a lock that a request of the caller needs, until the block or its transaction ends."""
    with psycopg.connect(**connection.get_connection_params()) as blocker:
        tenant = str(caller.organization.pk)
        blocker.execute("SELECT set_config('app.organization_id', %s, true)", [tenant])
        blocker.execute(LOCKS[lock].encode(), [tenant])
        yield blocker


@pytest.mark.parametrize("lock", LOCKS)
def test_a_locked_neighbour_holds_nobody_up(batches: Batches, lock: str) -> None:
    locked, neighbours = Caller(), [Caller(), Caller()]
    assert locked.ask().status_code == 200
    locked.change(last_used_at=None)  # so that the request has to write it

    requests = [locked.ask, *(each.ask for each in neighbours)]
    with locking(lock, locked) as blocker, together(batches, requests) as sent:
        waiting, *answered = sent
        assert statuses(answered, SOON) == [200, 200]
        assert neighbours[0].ask().status_code == 200
        assert not waiting.done()
        blocker.rollback()
        assert statuses([waiting]) == [200]
    assert locked.counted() == (2, 2)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_locked_request_that_was_first_holds_nobody_up(lock: str) -> None:
    locked, neighbour = Caller(), Caller()
    assert locked.ask().status_code == 200
    locked.change(last_used_at=None)

    with locking(lock, locked) as blocker, ThreadPoolExecutor(2) as pool:
        first = pool.submit(sent_alone, locked.ask)
        until_it_waits(first, blocker)
        assert statuses([pool.submit(sent_alone, neighbour.ask)], SOON) == [200]
        assert not first.done()
        blocker.rollback()
        assert statuses([first]) == [200]


POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.agent_id = '{agent}' THEN {does} END IF;
    RETURN NEW;
END $$;
GRANT EXECUTE ON FUNCTION poison TO PUBLIC;
CREATE TRIGGER poison BEFORE INSERT ON tokens_tokenevent FOR EACH ROW EXECUTE FUNCTION poison();
"""


@pytest.fixture
def poison(owner: psycopg.Connection) -> Iterator[Callable[[Caller, str], None]]:
    """Let the database do something when a token of the caller is recorded."""

    def add(caller: Caller, does: str) -> None:
        owner.execute(POISON.format(agent=caller.agent.pk, does=does).encode())

    yield add
    owner.execute("DROP FUNCTION poison CASCADE")


def test_a_request_that_the_database_cannot_carry_out_fails_alone(
    batches: Batches, poison: Callable[[Caller, str], None]
) -> None:
    bad, good = Caller(), Caller()
    poison(bad, "RAISE EXCEPTION 'poison';")

    with together(batches, [good.ask, bad.ask, good.ask]) as sent:
        assert statuses(sent) == [200, 500, 200]

    assert (good.counted(), bad.counted()) == ((2, 2), (0, 0))


def test_a_lost_connection_is_told_to_all_and_nothing_is_asked_twice(
    batches: Batches, owner: psycopg.Connection, poison: Callable[[Caller, str], None]
) -> None:
    first, other = Caller(), Caller()
    owner.execute("CREATE SEQUENCE attempts; GRANT USAGE ON SEQUENCE attempts TO PUBLIC")
    waits = (
        "PERFORM nextval('attempts'); PERFORM set_config('lock_timeout', '0', true);"
        "PERFORM pg_advisory_xact_lock(4711);"
    )
    poison(first, waits)
    try:
        with psycopg.connect(**connection.get_connection_params()) as blocker:
            blocker.execute("SELECT pg_advisory_xact_lock(4711)")
            with together(batches, [first.ask, other.ask, other.ask]) as sent:
                backends = "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
                me = [blocker.info.backend_pid]
                assert until(lambda: owner.execute(backends, me).fetchone() is not None)
                (backend,) = owner.execute(backends, me).fetchone() or (0,)
                blocker.execute("SELECT pg_terminate_backend(%s)", [backend])
                blocker.commit()  # whoever asked again would not wait
                assert statuses(sent) == [503] * 3
        assert owner.execute("SELECT last_value FROM attempts").fetchone() == (1,)
    finally:
        owner.execute("DROP SEQUENCE attempts")
    assert (first.counted(), other.counted()) == ((0, 0), (0, 0))
    assert other.ask().status_code == 200
