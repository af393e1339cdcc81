"""A process hashes only a few passwords at once, because each takes a core and 100 MB."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import Queue
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, identify_hasher, make_password
from django.db import connection
from django.test import Client

from core import password_hashers as hashers
from core.password_hashers import (
    MAX_WAITERS,
    HashingSlots,
    LimitedArgon2PasswordHasher,
    Line,
    PasswordsBusy,
    _Turn,
)
from core.throttling import ADDRESS_FAILURES, LOGIN_FAILURES
from organizations.actions import invite
from organizations.actors import Actor
from organizations.models import AccountLink, AuditEvent, Membership, Organization
from organizations.people.links import make_link
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user

PASSWORD = "a long enough password"
HERE = "127.0.0.1"
"""The address of Django's test client."""


class QuickHasher(LimitedArgon2PasswordHasher):
    """The real hasher with a low cost."""

    memory_cost, time_cost, parallelism = 8, 1, 1


@pytest.fixture(autouse=True)
def argon2(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.{QuickHasher.__name__}"]


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> HashingSlots:
    monkeypatch.setattr(hashers, "MAX_WAIT", 0.01)
    monkeypatch.setattr(hashers, "slots", HashingSlots(1))
    return hashers.slots


@pytest.fixture
def ada(organization: Organization) -> Membership:
    return make_membership(organization, "owner", make_user("ada@example.com", PASSWORD))


def log_in(password: str = PASSWORD, address: str = HERE) -> Any:
    body = {"email": "ada@example.com", "password": password}
    client = Client(REMOTE_ADDR=address)
    return client.post("/api/v1/auth/login", body, content_type="application/json")


def log_in_by_page() -> Any:
    body = {"email": "ada@example.com", "password": PASSWORD}
    return Client(headers={"Accept": "text/html"}).post("/login", body)


def fill_and_log_in(slots: HashingSlots) -> Any:
    """Sign in while this address has every place, even those to wait."""
    turns = [_Turn(Line(HERE)) for _ in range(MAX_WAITERS)]
    slots._waiting += turns
    answer = log_in("wrong")
    slots._waiting.clear()
    return answer


def change_password(ada: Membership) -> Any:
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(ada.user)
    return browser.post("/password", {"current": PASSWORD, "new": "another long password"})


def change_address(ada: Membership) -> Any:
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(ada.user)
    return browser.post("/email", {"current": PASSWORD, "email": "ada.new@example.com"})


def reset_password(ada: Membership) -> Any:
    secret = make_link(ada.user, AccountLink.Purpose.PASSWORD).rpartition("/")[2]
    client = Client(headers={"Accept": "text/html"})
    return client.post(f"/password/reset/{secret}", {"new": "another long password"})


def link_of(ada: Membership) -> str:
    with organization_scope(ada.organization):
        actor = Actor.for_person(ada)
        _, link = invite(ada.organization, actor=actor, email="new@example.com", role="viewer")
    return link.rpartition("/")[2]


def accept(ada: Membership) -> Any:
    body = {"token": link_of(ada), "name": "New Person", "password": PASSWORD}
    return Client().post("/api/v1/invitations/accept", body, content_type="application/json")


def accept_by_page(ada: Membership) -> Any:
    body = {"name": "New Person", "password": PASSWORD}
    client = Client(headers={"Accept": "text/html"})
    return client.post(f"/invitations/{link_of(ada)}", body)


WAYS: dict[str, tuple[Callable[[Membership], Any], int]] = {
    "sign in": (lambda ada: log_in(), 200),
    "sign in on the page": (lambda ada: log_in_by_page(), 302),
    "change the password": (change_password, 302),
    "change the address": (change_address, 302),
    "reset a forgotten password": (reset_password, 302),
    "accept an invitation": (accept, 201),
    "accept on the page": (accept_by_page, 302),
}
"""Every request that hashes a password, and its status when there is a place."""


@pytest.mark.parametrize("way", WAYS)
def test_without_a_place_the_answer_is_to_try_again(
    way: str, ada: Membership, slots: HashingSlots
) -> None:
    with slots.hold():
        busy = WAYS[way][0](ada)

    assert busy.status_code == 503
    assert int(busy["Retry-After"]) > 0
    assert "Try again in a few seconds." in busy.content.decode()


@pytest.mark.parametrize("way", WAYS)
def test_with_a_place_it_works(way: str, ada: Membership, slots: HashingSlots) -> None:
    call, status = WAYS[way]

    assert call(ada).status_code == status


def test_an_unchecked_password_does_not_count_as_a_failure(
    ada: Membership, slots: HashingSlots
) -> None:
    with slots.hold():
        busy = [log_in("wrong").status_code for _ in range(LOGIN_FAILURES.limit + 5)]

    assert set(busy) == {503}
    assert log_in().status_code == 200
    with organization_scope(ada.organization):
        assert not AuditEvent.objects.filter(action="auth.failed").exists()


def test_a_refusal_for_ones_own_network_counts_for_the_address_but_not_for_the_name(
    ada: Membership, slots: HashingSlots
) -> None:
    """Otherwise a network could go on for ever: most of its requests are refused."""
    with slots.hold(HERE):
        few = [log_in("wrong") for _ in range(LOGIN_FAILURES.limit + 5)]
        few += [fill_and_log_in(slots)]
    in_between = log_in()
    with slots.hold(HERE):
        many = [log_in("wrong") for _ in range(ADDRESS_FAILURES.limit - len(few))]
    late = log_in()

    assert {each.status_code for each in (*few, *many)} == {429}
    assert {each["Retry-After"] for each in (*few, *many)} == {"2"}
    assert in_between.status_code == 200
    assert late.status_code == 429, "the hash is free, but the window of the address is full"
    assert log_in(address="192.0.2.9").status_code == 200
    with organization_scope(ada.organization):
        assert not AuditEvent.objects.filter(action="auth.failed").exists()


@pytest.mark.parametrize("way", WAYS)
def test_whoever_hashes_does_it_in_the_line_of_their_network(
    way: str, ada: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[Line] = []

    class Recording(HashingSlots):
        def hold(self, network: str = "", browser: str = "") -> AbstractContextManager[None]:
            lines.append(Line(network, browser))
            return super().hold(network, browser)

    monkeypatch.setattr(hashers, "slots", Recording(1))

    assert WAYS[way][0](ada).status_code == WAYS[way][1]

    assert set(lines) == {Line(HERE)}
    assert hashers.hashing_line() == Line(), "after the request"


def test_who_could_not_accept_an_invitation_did_not_fail(
    ada: Membership, slots: HashingSlots
) -> None:
    body = {"token": link_of(ada), "name": "New Person", "password": PASSWORD}

    def accept_it() -> int:
        path = "/api/v1/invitations/accept"
        return Client().post(path, body, content_type="application/json").status_code

    with slots.hold():
        busy = [accept_it() for _ in range(LOGIN_FAILURES.limit + 5)]

    assert set(busy) == {503}
    assert accept_it() == 201


@pytest.mark.django_db(transaction=True)
def test_of_many_guessers_a_few_wait_and_the_others_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_membership(make_organization(), user=make_user("ada@example.com", PASSWORD))
    slots = HashingSlots(1)
    monkeypatch.setattr(hashers, "slots", slots)
    monkeypatch.setattr(hashers, "MAX_WAIT", 60)
    answers: Queue[int] = Queue()

    def guess() -> None:
        try:
            answers.put(log_in("wrong").status_code)
        finally:
            connection.close()

    guessers = [threading.Thread(target=guess) for _ in range(9)]
    with slots.hold():
        for each in guessers:
            each.start()
        at_once = [answers.get(timeout=30) for _ in range(len(guessers) - MAX_WAITERS)]
        assert answers.empty()
    later = [answers.get(timeout=30) for _ in range(MAX_WAITERS)]
    for each in guessers:
        each.join()

    assert set(at_once) == {429}, "their own network has the places"
    assert set(later) == {401}


def test_a_place_is_given_back_after_an_error() -> None:
    slots = HashingSlots(1)
    with pytest.raises(ZeroDivisionError), slots.hold():
        raise ZeroDivisionError

    with slots.hold():
        pass


def test_nobody_waits_longer_than_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashers, "MAX_WAIT", 0.01)
    slots = HashingSlots(1)
    with slots.hold(), pytest.raises(PasswordsBusy), slots.hold():
        pass


def test_the_hash_is_djangos_argon2(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["core.password_hashers.LimitedArgon2PasswordHasher"]

    encoded = make_password(PASSWORD)

    assert encoded.startswith("argon2$argon2id$v=19$m=102400,t=2,p=1$")
    assert identify_hasher(encoded).verify(PASSWORD, encoded)
    assert Argon2PasswordHasher().verify(PASSWORD, encoded)
