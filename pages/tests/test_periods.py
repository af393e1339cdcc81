"""The period before and the one after, on the pages that have a period."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.test import Client
from django.utils.html import strip_tags

from executions.tests.factories import FINISHED, make_execution
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.token_requests import NOW

SignedIn = Callable[[Membership], Client]
LINK = re.compile(r'href="([^"]+)"(?: title="[^"]+")? aria-keyshortcuts="(\[|\])">(.*?)</a>')


@pytest.fixture
def browser(organization: Organization, signed_in: SignedIn) -> Iterator[Client]:
    with time_machine.travel(NOW, tick=False):
        make_execution(organization, FINISHED)
        yield signed_in(make_membership(organization))


def neighbours(browser: Client, url: str) -> dict[str, tuple[str, str]]:
    """Their URLs and labels, by key."""
    page = browser.get(url).content.decode()
    return {key: (unescape(url), strip_tags(label)) for url, key, label in LINK.findall(page)}


@pytest.mark.parametrize(
    ("shown", "earlier", "later"),
    [
        (
            "/tokens",
            ("/tokens?from=2026-02-16&to=2026-02-22", "Earlier: 16 Feb to 22 Feb"),
            None,
        ),
        ("/tokens?days=1", ("/tokens?date=2026-02-28", "Earlier: 28 Feb"), None),
        (
            "/tokens?date=2026-02-28&reason=wrong_secret",
            ("/tokens?reason=wrong_secret&date=2026-02-27", "Earlier: 27 Feb"),
            ("/tokens?reason=wrong_secret&days=1", "Later: 1 Mar"),
        ),
        (
            "/tokens?from=2026-02-16&to=2026-02-22",
            ("/tokens?from=2026-02-09&to=2026-02-15", "Earlier: 9 Feb to 15 Feb"),
            ("/tokens", "Later: 23 Feb to 1 Mar"),
        ),
        (
            "/tokens?from=2026-02-28T22:00:00Z&to=2026-02-28T23:00:00Z",
            (
                "/tokens?from=2026-02-28T21%3A00%3A00Z&to=2026-02-28T22%3A00%3A00Z",
                "Earlier: 28 Feb, 21:00 to 28 Feb, 22:00",
            ),
            (
                "/tokens?from=2026-02-28T23%3A00%3A00Z&to=2026-03-01T00%3A00%3A00Z",
                "Later: 28 Feb, 23:00 to 1 Mar, 00:00",
            ),
        ),
        (
            "/executions?status=error&sort=-cost",
            (
                "/executions?status=error&from=2026-02-27T16%3A42%3A00Z&to=2026-02-28T16%3A42%3A00Z&sort=-cost",
                "Earlier: 27 Feb, 16:42 to 28 Feb, 16:42",
            ),
            None,
        ),
        (
            "/executions/timeline?from=2026-02-28T06:00:00Z&to=2026-02-28T12:00:00Z",
            (
                "/executions/timeline?from=2026-02-28T00%3A00%3A00Z&to=2026-02-28T06%3A00%3A00Z",
                "Earlier: 28 Feb, 00:00 to 28 Feb, 06:00",
            ),
            (
                "/executions/timeline?from=2026-02-28T12%3A00%3A00Z&to=2026-02-28T18%3A00%3A00Z",
                "Later: 28 Feb, 12:00 to 28 Feb, 18:00",
            ),
        ),
        ("/executions?hours=999999", None, None),
        ("/executions?to=2026-02-28", None, None),
        ("/executions?from=0&to=253402300800", None, None),
        ("/executions/errors?from=1970-01-01&to=9999-12-31", None, None),
    ],
)
def test_the_periods_before_and_after_are_one_key_away(
    browser: Client,
    shown: str,
    earlier: tuple[str, str] | None,
    later: tuple[str, str] | None,
) -> None:
    found = neighbours(browser, shown)

    assert (found.get("["), found.get("]")) == (earlier, later)


@pytest.mark.parametrize(
    ("minutes", "later"), [(3, "/executions?hours=1"), (4, "/executions?from=2026-03-01T15%3A42")]
)
def test_a_look_at_an_earlier_period_loses_no_last_hours(
    browser: Client, minutes: int, later: str
) -> None:
    back, _ = neighbours(browser, "/executions?hours=1")["["]

    with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
        forth, _ = neighbours(browser, back)["]"]

    assert forth.startswith(later)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Havana"])
@pytest.mark.parametrize(
    "path",
    [
        *(f"/tokens?days={days}" for days in (1, 7, 30, 90, 400)),
        "/tokens?from=2026-02-28T22:30:00Z&to=2026-02-28T23:00:00Z",
        *(f"/executions?hours={hours}" for hours in (1, 6, 24, 168, 720)),
        "/executions?from=2025-10-25&to=2025-10-26",
    ],
)
def test_earlier_and_then_later_leads_back(browser: Client, zone: str, path: str) -> None:
    url = f"{path}&tz={zone}"
    start, end = bounds(browser, url)

    back = neighbours(browser, url)["["][0]
    assert bounds(browser, back)[1] == start
    forth = neighbours(browser, back)["]"][0]

    assert bounds(browser, forth) == (start, end)


def bounds(browser: Client, url: str) -> tuple[float, float | None]:
    query = browser.get(url).context["query"]
    if url.startswith("/tokens"):
        return query.window.start.timestamp(), query.window.end.timestamp()
    found: tuple[float, float | None] = query.filters.window
    return found
