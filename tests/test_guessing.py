"""Every place where a secret can be guessed, as docs/reference/limits.md lists them.

Each place that accepts a secret is in one of two tables: either attempts are limited, or the secret
is too long to be guessed at any rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from core.throttling import (
    ADDRESS_FAILURES,
    LOGIN_FAILURES,
    NEW_COUNTERS,
    WIDER_FAILURES,
    Guesses,
)
from organizations.models import Attempt
from tests.calls import FORM
from tests.endpoint import CLIENT, PUBLIC
from tests.endpoints import ENDPOINTS
from tests.tenants import PASSWORD, Tenant
from tokens.tests.clients import basic
from tokens.tests.factories import make_credential

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"
WRONG = "wrong-guess-of-a-secret"


@dataclass(frozen=True)
class Place:
    """A place that accepts a secret: how to guess it, and the response to a wrong guess."""

    guess: Callable[[Client, Tenant, str, str], Any]
    """Takes a client, the tenant, a person's name and a guess at the secret."""
    name: Callable[[Tenant], str]
    secret: Callable[[Tenant], str]
    wrong: int
    by_name: bool = True
    """Whether the caller chooses the account to guess: not once they are signed in."""


def as_client(path: str) -> Callable[[Client, Tenant, str, str], Any]:
    def guess(client: Client, tenant: Tenant, name: str, secret: str) -> Any:
        form = "grant_type=client_credentials&token=x"
        return client.post(path, form, content_type=FORM, headers=basic(name, secret))

    return guess


def by_api(client: Client, tenant: Tenant, name: str, secret: str) -> Any:
    body = {"email": name, "password": secret}
    return client.post("/api/v1/auth/login", body, content_type="application/json")


def with_name(path: str, **options: Any) -> Callable[[Client, Tenant, str, str], Any]:
    """As kodosumi's clients do."""

    def guess(client: Client, tenant: Tenant, name: str, secret: str) -> Any:
        return client.post(path, {"name": name, "password": secret}, **options)

    return guess


def by_page(client: Client, tenant: Tenant, name: str, secret: str) -> Any:
    return client.post("/login", {"email": name, "password": secret})


def signed_in(path: str, **fields: str) -> Callable[[Client, Tenant, str, str], Any]:
    def guess(client: Client, tenant: Tenant, name: str, secret: str) -> Any:
        client.force_login(tenant.person("owner").user)
        return client.post(path, {"current": secret, **fields})

    return guess


def owner(tenant: Tenant) -> str:
    return tenant.person("owner").user.email


CLIENTS = {
    path: Place(
        as_client(path),
        lambda tenant: str(tenant.agent.pk),
        lambda tenant: make_credential(tenant.agent)[1],
        401,
    )
    for path in ("/api/v1/token", "/api/v1/token/introspect", "/api/v1/token/revoke")
}
PEOPLE = {
    "/api/v1/auth/login": Place(by_api, owner, lambda tenant: PASSWORD, 401),
    "/api/login": Place(
        with_name("/api/login", content_type="application/json"),
        owner,
        lambda tenant: PASSWORD,
        401,
    ),
    "/login": Place(by_page, owner, lambda tenant: PASSWORD, 400),
    "/password": Place(
        signed_in("/password", new="staple battery horse correct"),
        owner,
        lambda tenant: PASSWORD,
        400,
        by_name=False,
    ),
    "/email": Place(
        signed_in("/email", email="new.address@example.com"),
        owner,
        lambda tenant: PASSWORD,
        400,
        by_name=False,
    ),
}
SLOWED = CLIENTS | PEOPLE
OPEN_TO_ALL = {path: place for path, place in SLOWED.items() if place.by_name}
NO_GUESS = {
    "/authorize": "Refuses everybody.",
    "/api/v1/auth/refresh": "A signature.",
    "/api/v1/invitations/accept": "256 random bits.",
    "/invitations/{token}": "256 random bits.",
    "/password/reset/{token}": "256 random bits.",
    "/password/reset": "Takes no secret; has limits of its own.",
    "/api/v1/auth/password-reset": "Takes no secret; has limits of its own.",
}


def test_every_open_door_stands_in_a_table() -> None:
    doors = {e.path for e in ENDPOINTS if e.access in {PUBLIC, CLIENT} and e.method == "POST"}

    assert doors == OPEN_TO_ALL.keys() | NO_GUESS.keys()


@pytest.fixture
def tenant(ours: Tenant) -> Tenant:
    ours.entitled(ours.agent, "tokens:read")
    return ours


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


@pytest.mark.parametrize("path", SLOWED)
def test_ten_guesses_at_one_name_are_answered_in_a_minute(path: str, tenant: Tenant) -> None:
    place = SLOWED[path]
    name, secret = place.name(tenant), place.secret(tenant)

    guesses = [place.guess(at(HERE), tenant, name, WRONG) for _ in range(12)]
    late = place.guess(at(HERE), tenant, name, secret)
    elsewhere = place.guess(at(ELSEWHERE), tenant, name, secret)

    assert [each.status_code for each in guesses] == [place.wrong] * 10 + [429] * 2
    assert late.status_code == 429
    assert all(1 <= int(each["Retry-After"]) <= 60 for each in (*guesses[10:], late))
    assert elsewhere.status_code in {200, 302}


def test_spellings_of_one_name_are_one_name(tenant: Tenant) -> None:
    user = tenant.person("owner").user
    user.username = "sigrid"
    user.save(update_fields=["username"])
    spellings = ["sigrid", "S\u0130GRID", "sigr\u0130d"]  # a capital I with a dot

    guesses = [by_api(at(HERE), tenant, spellings[n % 3], WRONG) for n in range(12)]

    assert [each.status_code for each in guesses] == [401] * 10 + [429] * 2
    assert by_api(at(HERE), tenant, "sigrid", PASSWORD).status_code == 429
    assert by_api(at(ELSEWHERE), tenant, spellings[2], PASSWORD).status_code == 200


@pytest.mark.parametrize("path", OPEN_TO_ALL)
def test_a_hundred_guesses_at_all_names_are_answered_to_an_address(
    path: str, tenant: Tenant
) -> None:
    place = OPEN_TO_ALL[path]
    name, secret = place.name(tenant), place.secret(tenant)
    for number in range(4):
        stranger = str(uuid4()) if path in CLIENTS else f"nobody{number}@example.com"
        assert place.guess(at(HERE), tenant, stranger, WRONG).status_code == place.wrong
        if number == 0:
            Attempt.objects.update(attempts=ADDRESS_FAILURES.limit - 3)

    rows = Attempt.objects.count()
    late = place.guess(at(HERE), tenant, name, secret)
    strangers = [place.guess(at(HERE), tenant, str(uuid4()), WRONG) for _ in range(3)]
    more_rows = Attempt.objects.count() - rows
    elsewhere = place.guess(at(ELSEWHERE), tenant, name, secret)

    assert {each.status_code for each in (late, *strangers)} == {429}
    assert more_rows == 0, "a name that is refused anyway leaves no counter"
    assert elsewhere.status_code in {200, 302}


NETWORKS = ["2001:db8:1::1", "2001:db8:1:7::1", "2001:db8:1:ffff:1:2:3:4"]
"""Of one customer: the same /48, and a /64 each."""
NEIGHBOUR = "2001:db8:2::1"


@pytest.mark.parametrize("path", OPEN_TO_ALL)
def test_the_networks_of_one_customer_have_a_limit_together(path: str, tenant: Tenant) -> None:
    place = OPEN_TO_ALL[path]
    name, secret = place.name(tenant), place.secret(tenant)
    wider = Guesses.at("token" if path in CLIENTS else "login", name, NETWORKS[0]).wider
    for network in NETWORKS[:2]:
        assert place.guess(at(network), tenant, name, WRONG).status_code == place.wrong
    counted = Attempt.objects.get(key=wider).attempts
    Attempt.objects.filter(key=wider).update(attempts=WIDER_FAILURES.limit - 1)

    last, late = (place.guess(at(NETWORKS[2]), tenant, name, WRONG) for _ in range(2))
    rows = Attempt.objects.count()
    place.guess(at("2001:db8:1:8::1"), tenant, name, WRONG)
    more_rows = Attempt.objects.count() - rows
    right = place.guess(at(NETWORKS[1]), tenant, name, secret)
    neighbours = place.guess(at(NEIGHBOUR), tenant, name, secret)

    assert counted == 2
    assert (last.status_code, late.status_code, right.status_code) == (place.wrong, 429, 429)
    assert more_rows == 0, "a network that is refused anyway leaves no counter"
    assert neighbours.status_code in {200, 302}


def test_a_success_is_given_back_to_the_wider_network(tenant: Tenant) -> None:
    name = tenant.person("owner").user.email
    wider = Guesses.at("login", name, NETWORKS[0]).wider

    assert by_api(at(NETWORKS[0]), tenant, name, PASSWORD).status_code == 200
    assert not Attempt.objects.filter(key=wider, attempts__gt=0).exists()


def test_an_ipv4_address_has_no_wider_network(tenant: Tenant) -> None:
    assert Guesses.at("login", "ada", HERE).wider == ""
    assert len(Guesses.at("login", "ada", HERE).quotas) == 2


@pytest.mark.parametrize("path", CLIENTS)
def test_clients_make_few_counters_and_a_right_secret_works_nevertheless(
    path: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of many customers, each with its own counters, which share the room."""
    monkeypatch.setattr("core.throttling.ROOMS", 1)
    place = CLIENTS[path]
    name, secret = place.name(tenant), place.secret(tenant)
    networks = [f"2001:db8:{number + 1:x}::1" for number in range(6)]
    known = [place.guess(at(each), tenant, name, WRONG).status_code for each in networks[:3]]
    room = Attempt.objects.get(key__startswith="room ")
    Attempt.objects.filter(pk=room.pk).update(attempts=NEW_COUNTERS.limit - 1)

    last = place.guess(at(networks[3]), tenant, name, WRONG)
    rows = sorted(Attempt.objects.exclude(key__startswith="left out").values_list("pk", "attempts"))
    late = [place.guess(at(each), tenant, name, WRONG) for each in networks[4:]]
    same = sorted(Attempt.objects.exclude(key__startswith="left out").values_list("pk", "attempts"))
    again = place.guess(at(networks[0]), tenant, name, WRONG)
    right = place.guess(at(networks[5]), tenant, name, secret)

    assert (known, room.attempts, last.status_code) == ([401] * 3, 3, 401)
    assert [each.status_code for each in late] == [429] * 2
    assert all(1 <= int(each["Retry-After"]) <= 3600 for each in late)
    assert rows == same, "nothing is written for a full room"
    assert (again.status_code, right.status_code) == (401, 200)


@pytest.mark.parametrize("places", [CLIENTS, PEOPLE], ids=["clients", "people"])
def test_the_places_of_one_secret_count_together(places: dict[str, Place], tenant: Tenant) -> None:
    doors = list(places.values())
    name = doors[0].name(tenant)
    for number in range(LOGIN_FAILURES.limit):
        door = doors[number % len(doors)]
        assert door.guess(at(HERE), tenant, name, WRONG).status_code == door.wrong

    assert {door.guess(at(HERE), tenant, name, WRONG).status_code for door in doors} == {429}


@pytest.mark.parametrize("path", SLOWED)
def test_retry_after_is_the_end_of_the_window(path: str, tenant: Tenant) -> None:
    place = SLOWED[path]
    name, secret = place.name(tenant), place.secret(tenant)
    for _ in range(LOGIN_FAILURES.limit):
        place.guess(at(HERE), tenant, name, WRONG)

    retry_after = int(place.guess(at(HERE), tenant, name, secret)["Retry-After"])
    first = Attempt.objects.filter(attempts__gte=LOGIN_FAILURES.limit).earliest("started_at")
    Attempt.objects.update(started_at=F("started_at") - LOGIN_FAILURES.window)

    left = (first.started_at + LOGIN_FAILURES.window - timezone.now()).total_seconds()
    assert left <= retry_after <= left + 3
    assert place.guess(at(HERE), tenant, name, secret).status_code in {200, 302}


@pytest.mark.parametrize("path", OPEN_TO_ALL)
def test_a_window_that_starts_in_the_future_blocks_nobody(path: str, tenant: Tenant) -> None:
    """The database's clock was ahead during the guesses and has been corrected."""
    place = OPEN_TO_ALL[path]
    name, secret = place.name(tenant), place.secret(tenant)
    for _ in range(LOGIN_FAILURES.limit):
        place.guess(at(HERE), tenant, name, WRONG)
    Attempt.objects.update(started_at=F("started_at") + timedelta(hours=1))

    in_time = place.guess(at(HERE), tenant, name, secret)
    guesses = [place.guess(at(HERE), tenant, name, WRONG) for _ in range(12)]

    assert in_time.status_code in {200, 302}
    assert [each.status_code for each in guesses] == [place.wrong] * 10 + [429] * 2
