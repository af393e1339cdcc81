"""The places for hashing passwords are divided by network, so nobody can occupy them for others."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import Queue
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core import password_hashers as hashers
from core.password_hashers import (
    MAX_WAITERS,
    HashingSlots,
    LimitedArgon2PasswordHasher,
    NetworkBusy,
    PasswordsBusy,
)
from organizations.tests.factories import make_membership, make_organization, make_user

PASSWORD = "a long enough password"
ATTACKER, VICTIM = "203.0.113.1", "198.51.100.7"
CONNECTIONS = 12


class Line:
    """Threads that hold a place, each until the test lets it go on."""

    def __init__(self, slots: HashingSlots, pool: ThreadPoolExecutor) -> None:
        self.slots, self.pool = slots, pool
        self.begun: Queue[tuple[str, threading.Event]] = Queue()

    def ask(self, network: str, browser: str = "") -> Future[None]:
        """Ask for a place in a thread; return when it has one, waits for one, or was refused."""
        line = hashers.Line(network, browser)
        before = self.slots._share_of_line(line)
        asked = self.pool.submit(self._hold, line)
        until(lambda: self.slots._share_of_line(line) > before or asked.done())
        return asked

    def _hold(self, line: hashers.Line) -> None:
        with self.slots.hold(*line):
            may_end = threading.Event()
            self.begun.put((" ".join(filter(None, line)), may_end))
            assert may_end.wait(60)

    def order(self) -> list[str]:
        """Let one after the other go on, until nobody is left: the networks in their order."""
        found = []
        while self.slots._running.total():
            network, may_end = self.begun.get(timeout=60)
            found.append(network)
            left = self.slots._running.total() + len(self.slots._waiting) - 1
            may_end.set()
            until(lambda: self.slots._running.total() + len(self.slots._waiting) == left)  # noqa: B023
        return found


def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashers, "MAX_WAIT", 60)


@pytest.fixture
def line() -> Any:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        line = Line(HashingSlots(1), pool)
        try:
            yield line
        finally:
            line.order()  # or a failed test would wait for its threads


def test_a_network_that_is_alone_may_have_every_place(line: Line) -> None:
    asked = [line.ask("a") for _ in range(1 + MAX_WAITERS)]
    late = line.ask("a")

    assert line.order() == ["a"] * len(asked)
    with pytest.raises(NetworkBusy):
        late.result()
    assert [each.result() for each in asked] == [None] * len(asked)


def test_another_network_has_the_next_turn_and_the_place_of_the_newest(line: Line) -> None:
    asked = [line.ask("a") for _ in range(1 + MAX_WAITERS)]
    other = line.ask("b")

    with pytest.raises(NetworkBusy):
        asked[-1].result(timeout=30)
    assert line.order() == ["a", "b"] + ["a"] * (MAX_WAITERS - 1)
    assert other.result() is None


def test_networks_take_turns(line: Line) -> None:
    for network in ("a", "b", "b", "a"):
        line.ask(network)

    assert line.order() == ["a", "b", "a", "b"]


def test_a_network_cannot_displace_others_that_have_no_more_than_itself(line: Line) -> None:
    networks = [f"{number}" for number in range(1 + MAX_WAITERS)]
    for network in networks:
        line.ask(network)

    with pytest.raises(PasswordsBusy) as of_others:
        line.ask("another").result()
    with pytest.raises(NetworkBusy):
        line.ask(networks[-1]).result()
    with pytest.raises(PasswordsBusy):
        line.slots.refuse_when_full(hashers.Line("another"))

    assert not isinstance(of_others.value, NetworkBusy)
    assert line.order() == networks


def test_of_several_slots_a_freed_one_goes_to_the_network_that_has_none() -> None:
    slots = HashingSlots(2)
    with ThreadPoolExecutor(CONNECTIONS) as pool, ExitStack() as held:
        held.enter_context(slots.hold("a"))
        line = Line(slots, pool)
        for network in ("a", "a", "a", "b"):
            line.ask(network)
        networks = []
        for _ in range(4):
            network, may_end = line.begun.get(timeout=60)
            networks.append(network)
            may_end.set()

    assert networks == ["a", "b", "a", "a"]


def test_no_network_is_remembered_longer_than_it_has_a_place(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    for network in ("a", "b", "c", "d", "e", "a"):
        line.ask(network)
    monkeypatch.setattr(hashers, "MAX_WAIT", 0.01)
    assert isinstance(line.ask("b").exception(), NetworkBusy)

    line.order()

    assert (line.slots._free, line.slots._running, line.slots._last_turn) == (1, {}, {})


def test_many_known_browsers_of_a_network_have_one_share_together(line: Line) -> None:
    asked = [line.ask("a", f"browser {number}") for number in range(1 + MAX_WAITERS)]
    others = [line.ask(network) for network in ("b", "c")]

    for each in asked[2:]:
        with pytest.raises(NetworkBusy):
            each.result(timeout=30)
    assert line.order() == ["a browser 0", "b", "c", "a browser 1"]
    assert [each.result() for each in others] == [None, None]


def test_the_networks_of_one_customer_have_one_share_together(line: Line) -> None:
    theirs = [line.ask(f"2001:db8:7:{number:x}::/64") for number in range(1 + MAX_WAITERS)]
    late = line.ask("2001:db8:7:ff::/64")
    victim, neighbour = line.ask("198.51.100.7"), line.ask("2001:db8:8::/64")

    with pytest.raises(PasswordsBusy):
        late.result()
    order = line.order()

    assert set(order[1:3]) == {"198.51.100.7", "2001:db8:8::/64"}
    assert victim.result() is neighbour.result() is None
    assert sum(each.exception() is not None for each in theirs) == 2  # gave their places


def test_a_known_browser_has_the_next_turn_of_its_network(line: Line) -> None:
    asked = [line.ask("a") for _ in range(1 + MAX_WAITERS)]
    known = line.ask("a", "known")

    with pytest.raises(NetworkBusy):
        asked[-1].result(timeout=30)
    assert line.order() == ["a", "a known"] + ["a"] * (MAX_WAITERS - 1)
    assert known.result() is None


class QuickHasher(LimitedArgon2PasswordHasher):
    """The real hasher with a low cost."""

    memory_cost, time_cost = 8, 1


class SteppedSlots(HashingSlots):
    """Each hash begins when the test lets it, and holds its slot until then."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.steps: Queue[tuple[str, threading.Event]] = Queue()
        self.is_stepping = True
        self.begun: list[str] = []

    def _begin(self, line: hashers.Line) -> None:
        self.begun.append(line.network)
        super()._begin(line)

    @contextmanager
    def hold(self, network: str = "", browser: str = "") -> Iterator[None]:
        with super().hold(network, browser):
            if self.is_stepping:
                may_go_on = threading.Event()
                self.steps.put((network, may_go_on))
                assert may_go_on.wait(60)
            yield

    def step(self) -> str:
        """Let the hash that began first end: the network it was for."""
        network, may_go_on = self.steps.get(timeout=60)
        may_go_on.set()
        return network

    def end_begun(self) -> None:
        while not self.steps.empty():
            self.step()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 2])
def test_a_flood_from_one_network_keeps_nobody_elsewhere_from_signing_in(
    count: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.{QuickHasher.__name__}"]
    make_membership(make_organization(), user=make_user("ada@example.com", PASSWORD))
    slots = SteppedSlots(count)
    monkeypatch.setattr(hashers, "slots", slots)
    is_over = threading.Event()

    def flood(number: int) -> set[int]:
        statuses, sent = set(), 0
        while not is_over.is_set():
            sent += 1
            body = f"nobody{number}-{sent}@example.com", "wrong, wro\u0308ng, wrong"
            statuses.add(log_in(ATTACKER, *body))
        return statuses

    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        flooding = [pool.submit(flood, number) for number in range(CONNECTIONS)]
        until(lambda: len(slots._waiting) == MAX_WAITERS)
        victim = pool.submit(log_in, VICTIM, "ada@example.com", PASSWORD)
        until(lambda: slots._share(VICTIM) > 0)
        while slots.step() != VICTIM:
            pass
        status = victim.result(60)
        is_over.set()
        slots.is_stepping = False
        while not all(each.done() for each in flooding):
            slots.end_begun()

    assert status == 200
    assert slots.begun.index(VICTIM) == count, "the next after those that ran already"
    assert set().union(*(each.result() for each in flooding)) <= {401, 429, 503}


def log_in(address: str, email: str, password: str) -> int:
    try:
        body = {"email": email, "password": password}
        client = Client(REMOTE_ADDR=address)
        return client.post("/api/v1/auth/login", body, "application/json").status_code
    finally:
        connection.close()
