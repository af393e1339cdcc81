"""A flood from an office's address does not keep out those who signed in there before."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.core import signing
from django.test import Client

from core import password_hashers as hashers
from core.password_hashers import HashingSlots, Line
from core.throttling import (
    ADDRESS_FAILURES,
    LOGIN_FAILURES,
    SIGN_INS_FROM,
    SIGN_INS_OF,
    WIDER_FAILURES,
    Guesses,
    Quota,
)
from organizations.actions import signing_in
from organizations.models import Attempt, Organization
from organizations.people import known_browsers
from organizations.tests.factories import make_membership, make_user

PASSWORD = "a long enough password"
ADA, BEN = "ada@example.com", "ben@example.com"
COOKIE = configured.KNOWN_BROWSER_COOKIE_NAME


@pytest.fixture(autouse=True)
def people(organization: Organization, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["organizations.tests.test_hashing_turns.QuickHasher"]
    for email in (ADA, BEN):
        make_membership(organization, user=make_user(email, PASSWORD))


def log_in(browser: Client, email: str, password: str = PASSWORD) -> int:
    browser.cookies.pop(configured.SESSION_COOKIE_NAME, None)
    return browser.post("/login", {"email": email, "password": password}).status_code


def browser_of(*emails: str) -> Client:
    """A browser in which these people signed in, and out again."""
    browser = Client(headers={"Accept": "text/html"})
    for email in emails:
        assert log_in(browser, email) == 302
    return browser


def flood() -> None:
    """Guesses from the same address, until no more are answered."""
    for number in range(ADDRESS_FAILURES.limit):
        log_in(Client(), f"nobody{number}@example.com", "wrong")


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """The lines of the hashes from now on."""
    asked: list[Line] = []

    class Recording(HashingSlots):
        def hold(self, network: str = "", browser: str = "") -> Any:
            asked.append(Line(network, browser))
            return super().hold(network, browser)

    monkeypatch.setattr(hashers, "slots", Recording(1))
    return asked


@pytest.mark.slow
def test_a_flood_keeps_out_no_browser_that_is_known() -> None:
    known, other = browser_of(ADA, BEN), browser_of()
    flood()

    assert log_in(other, ADA) == 429
    assert [log_in(known, email) for email in (ADA, BEN, "ADA@example.com")] == [302] * 3


def test_a_known_browser_has_a_place_beside_the_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = browser_of(ADA), browser_of()
    asked = recorded(monkeypatch)
    for browser, email in ((other, ADA), (known, BEN), (known, ADA), (known, "Ada@example.com")):
        log_in(browser, email)

    assert asked[:2] == [Line("127.0.0.1")] * 2
    assert asked[2] == asked[3] != asked[0]
    assert asked[2].network == "127.0.0.1", "whose share it takes"


def test_a_known_browser_guesses_no_more_than_others() -> None:
    known, again = browser_of(ADA), browser_of(ADA)

    answers = [log_in(known, ADA, "wrong") for _ in range(LOGIN_FAILURES.limit + 2)]

    assert answers == [400] * LOGIN_FAILURES.limit + [429] * 2
    assert log_in(again, ADA) == 429, "all cookies of a name at an address count together"
    assert log_in(browser_of(), ADA) == 302


def test_an_account_that_claims_an_address_has_a_line_of_its_own(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can make an account with somebody else's address, but not verify it."""
    known = browser_of(ADA)
    claimed = make_user(ADA, "another long password", email_verified_at=None)
    make_membership(organization, user=claimed)
    claiming = browser_of()
    assert log_in(claiming, ADA, "another long password") == 302
    asked = recorded(monkeypatch)

    guesses = [log_in(claiming, ADA, "wrong") for _ in range(LOGIN_FAILURES.limit + 1)]

    assert guesses[-1] == 429
    assert log_in(known, ADA) == 302
    assert len(set(asked)) == 2
    assert all(line.browser for line in asked)


def test_the_known_browsers_of_a_customers_networks_have_a_limit_together() -> None:
    known = browser_of(ADA)
    known.defaults["REMOTE_ADDR"] = "2001:db8:1::1"
    line = Line("2001:db8:1::/64", "a known one")
    wider = Attempt.objects.filter(key=Guesses.at("login", ADA, None, line=line).wider)
    assert log_in(known, ADA, "wrong") == 400
    assert wider.get().attempts == 1
    wider.update(attempts=WIDER_FAILURES.limit)
    known.defaults["REMOTE_ADDR"] = "2001:db8:1:7::1"

    assert log_in(known, ADA) == 429
    assert log_in(Client(REMOTE_ADDR="2001:db8:1:7::1"), ADA) == 302, "others count apart"


def test_a_cookie_of_an_earlier_release_makes_no_browser_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = browser_of(ADA)
    browser.cookies[COOKIE] = signing.dumps(["0" * 32], salt=known_browsers.SALT)
    asked = recorded(monkeypatch)

    assert log_in(browser, ADA) == 302
    assert asked == [Line("127.0.0.1")]


def test_right_passwords_are_limited_for_an_address_and_a_known_browser_still_gets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = browser_of(ADA)
    monkeypatch.setattr(signing_in, "SIGN_INS_FROM", Quota(limit=3, window=SIGN_INS_FROM.window))
    asked = recorded(monkeypatch)

    answers = [log_in(Client(), BEN) for _ in range(4)]

    assert answers == [302, 302, 429, 429], "the known browser's first sign-in counted here too"
    assert len(asked) == 2, "refused before it is hashed"
    assert [log_in(known, ADA), log_in(Client(REMOTE_ADDR="192.0.2.1"), BEN)] == [302, 302]


def test_right_passwords_are_limited_for_an_account_from_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing_in, "SIGN_INS_OF", Quota(limit=2, window=SIGN_INS_OF.window))

    answers = [log_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), ADA) for number in range(4)]

    assert answers == [302, 302, 429, 429]
    assert log_in(Client(REMOTE_ADDR="192.0.2.0"), BEN) == 302


def expired(marks: Any) -> str:
    signer = signing.TimestampSigner(salt=known_browsers.SALT)
    signer.timestamp = lambda: signing.b62_encode(0)  # type: ignore[method-assign]
    return signer.sign_object(marks)


FORGED: dict[str, Callable[[Any], str]] = {
    "unsigned": lambda marks: signing.dumps(marks, key="another key", salt=known_browsers.SALT),
    "for something else": lambda marks: signing.dumps(marks, salt="something else"),
    "expired": expired,
    "nothing": lambda marks: "",
}


@pytest.mark.slow
def test_only_a_cookie_of_ours_makes_a_browser_known() -> None:
    browsers = {way: browser_of(ADA) for way in FORGED}
    for way, browser in browsers.items():
        marks = signing.loads(browser.cookies[COOKIE].value, salt=known_browsers.SALT)
        browser.cookies[COOKIE] = FORGED[way](marks)
    flood()

    answers = {way: log_in(browser, ADA) for way, browser in browsers.items()}
    assert answers == dict.fromkeys(FORGED, 429)


def test_the_cookie_shows_no_address_and_is_bounded(organization: Organization) -> None:
    emails = [f"person{number}@example.com" for number in range(known_browsers.MAX_NAMES + 2)]
    for email in emails:
        make_membership(organization, user=make_user(email, PASSWORD))
    browser = browser_of(*emails)
    cookie = browser.cookies[COOKIE]
    marks = signing.loads(cookie.value, salt=known_browsers.SALT)

    assert len(marks) == known_browsers.MAX_NAMES
    assert "person" not in str(marks)
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie["max-age"] == timedelta(days=90).total_seconds()
