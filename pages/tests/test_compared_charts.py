"""The period before beside the numbers of the overview and of the requests, and without it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.tests.factories import make_agent
from executions.filters import NOBODY
from executions.tests.factories import FAILED, FINISHED, make_execution
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.overview import long_ago, make_events

SignedIn = Callable[[Membership], Client]


@pytest.fixture
def browser(organization: Organization, signed_in: SignedIn) -> Client:
    """Five tokens today, two a week ago."""
    long_ago(organization)
    agent = make_agent(organization)
    make_events(organization, 5, agent=agent)
    make_events(organization, 2, agent=agent, created_at=timezone.now() - timedelta(days=7))
    return signed_in(make_membership(organization))


def last_point(page: Any) -> tuple[int, int | None]:
    point = page.context["chart"]["points"][-1]
    return point["count"], point["before"]


@pytest.mark.parametrize("path", ["/?days=7", "/tokens?days=7&outcome=issued"])
def test_each_bar_stands_beside_the_same_weekday_before(browser: Client, path: str) -> None:
    page = browser.get(path)

    text = page.content.decode()
    week_ago = timezone.now() - timedelta(days=7)
    label = page.context["chart"]["before"]["label"]
    assert last_point(page) == (5, 2)
    assert label.replace("\u00a0", " ").endswith(f"{week_ago.day} {week_ago:%b}")
    assert len(re.findall(rf"{label}</(?:p|li)>", text)) == text.count(f"{label}</th>") == 1
    assert '<td class="number quiet">2</td>' in text


@pytest.mark.parametrize("path", ["/?days=7", "/tokens?days=7&outcome=issued"])
def test_a_key_hides_what_was_before_and_shows_it_again(browser: Client, path: str) -> None:
    with_it = browser.get(path)
    [hide] = [each["url"] for each in choices(with_it) if not each["current"]]

    page = browser.get(hide)

    text = page.content.decode()
    assert "compare=no" in hide
    assert last_point(page) == (5, None)
    assert page.context["chart"]["before"] is None
    assert "ompared with" not in text.partition("<main")[2]
    assert [row for row in rankings(page) if row["change"]] == []
    assert not any(figure.get("change") for figure in page.context["figures"])
    assert "before:" not in text
    [show] = [each["url"] for each in choices(page) if not each["current"]]
    assert last_point(browser.get(show)) == (5, 2)
    assert text.count('aria-keyshortcuts="x"') == 1


def choices(page: Any) -> list[dict[str, Any]]:
    context = page.context
    found: list[dict[str, Any]] = (
        context["window"].comparisons if "window" in context else context["comparisons"]
    )
    return found


def rankings(page: Any) -> list[dict[str, Any]]:
    return [row for each in page.context.get("rankings") or [] for row in each["rows"]]


def test_a_young_organization_has_nothing_to_compare_with(
    organization: Organization, signed_in: SignedIn
) -> None:
    make_events(organization, 5, agent=make_agent(organization))

    page = signed_in(make_membership(organization)).get("/?days=7")

    assert page.context["chart"]["before"] is None
    assert page.context["comparisons"] == []


def run_at(organization: Organization, ago: timedelta, status: Any = FINISHED) -> None:
    make_execution(organization, status, start=(timezone.now() - ago).timestamp())


@pytest.mark.parametrize(
    ("query", "back"),
    [
        ("?hours=168", 7),
        ("?hours=720", 35),
        ("", 1),
        ("?hours=1", 1),
        ("?hours=168&status=error", 7),
    ],
)
def test_runs_over_time_stand_beside_the_same_weekdays_before(
    organization: Organization, signed_in: SignedIn, query: str, back: int
) -> None:
    status = FAILED if "status" in query else FINISHED
    for ago in (timedelta(minutes=5), *[timedelta(days=back, minutes=5)] * 3):
        run_at(organization, ago, status)
    browser = signed_in(make_membership(organization))

    page = browser.get(f"/executions/timeline{query}")

    points = [each for each in page.context["chart"]["points"] if each["count"] or each["before"]]
    assert [(each["count"], each["before"]) for each in points] == [(1, 3)]
    label = page.context["chart"]["before"]["label"]
    assert f"{label}</th>" in page.content.decode()
    [hide] = [each["url"] for each in page.context["comparisons"] if not each["current"]]
    without = browser.get(hide)
    assert without.context["chart"]["before"] is None
    assert {each["before"] for each in without.context["chart"]["points"]} == {None}
    assert without.content.decode().count('aria-keyshortcuts="x"') == 1
    [show] = [each["url"] for each in without.context["comparisons"] if not each["current"]]
    assert browser.get(show).context["chart"]["before"] is not None


@pytest.mark.parametrize("query", ["", "?hours=999999", "?to=2001-01-01", "?hours=12000"])
def test_runs_without_a_period_before_are_compared_with_nothing(
    organization: Organization, signed_in: SignedIn, query: str
) -> None:
    """The run of long ago is before the window of months, which have no weekdays in common."""
    for ago in (timedelta(minutes=5), timedelta(days=600)):
        run_at(organization, ago)

    page = signed_in(make_membership(organization)).get(f"/executions/timeline{query}")

    assert page.context["chart"]["before"] is None
    assert page.context["comparisons"] == []


@pytest.mark.parametrize(
    ("day", "earlier", "hours"),
    [
        ("2025-03-31", ["2025-03-30T01:30Z"], {3: 1}),
        ("2025-03-30", ["2025-03-29T01:30Z", "2025-03-29T02:30Z"], {1: 1, 3: 1}),
        ("2025-10-27", ["2025-10-26T00:30Z", "2025-10-26T01:30Z"], {2: 2}),
        ("2025-10-26", ["2025-10-25T00:30Z"], {2: 1}),
    ],
    ids=["after a short day", "short day", "after a long day", "long day"],
)
def test_each_run_before_counts_once_where_the_clocks_change(
    organization: Organization,
    signed_in: SignedIn,
    day: str,
    earlier: list[str],
    hours: dict[int, int],
) -> None:
    for text in (f"{day}T12:00Z", *earlier):
        make_execution(organization, FINISHED, start=datetime.fromisoformat(text).timestamp())
    browser = signed_in(make_membership(organization))

    page = browser.get(f"/executions/timeline?from={day}&to={day}&tz=Europe/Berlin")

    points = page.context["chart"]["points"]
    assert [(each["hour"], each["before"]) for each in points if each["before"]] == [*hours.items()]


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ("2020-03-05", "2020-03-05", "4 Mar 2020"),
        ("2020-03-02", "2020-03-08", "24 Feb 2020 to 1 Mar 2020"),
        ("2020-03-05T10:00", "2020-03-05T12:00", "4 Mar 2020, 10:00 to 12:00"),
    ],
)
def test_the_period_before_is_named_with_its_year_if_it_is_another(
    organization: Organization, signed_in: SignedIn, first: str, last: str, label: str
) -> None:
    long_ago(organization)
    for day in ("2020-02-27T11:00Z", "2020-03-04T11:00Z", "2020-03-05T11:00Z"):
        make_execution(organization, FINISHED, start=datetime.fromisoformat(day).timestamp())
    browser, window = signed_in(make_membership(organization)), f"?from={first}&to={last}"

    charts = [browser.get(f"/executions/{each}{window}") for each in ("timeline", "statistics")]
    requests = browser.get(f"/tokens{window}")

    assert charts[0].context["chart"]["before"]["label"] == label
    assert charts[1].context["before_label"] == label
    assert "T" in first or f"Earlier: {label}" in requests.content.decode()


@pytest.mark.parametrize("zone", ["", "&tz=Pacific/Kiritimati", "&tz=Pacific/Niue"])
@pytest.mark.parametrize("end", ["9999-12-31", "5000-01-01", "2100-01-01"])
def test_a_period_may_end_in_thousands_of_years(
    organization: Organization, signed_in: SignedIn, end: str, zone: str
) -> None:
    """The one before it would begin before the calendar."""
    run_at(organization, timedelta(minutes=5))
    start = timezone.now() - timedelta(days=1)

    page = signed_in(make_membership(organization)).get(
        f"/executions/timeline?from={start:%Y-%m-%d}&to={end}{zone}"
    )

    assert sum(each["count"] for each in page.context["chart"]["points"]) == 1


def test_shares_of_runs_stand_beside_those_of_the_same_weekdays_before(
    organization: Organization, signed_in: SignedIn
) -> None:
    for ago in (timedelta(minutes=5), *[timedelta(days=7, minutes=5)] * 3):
        run_at(organization, ago)
    run_at(organization, timedelta(minutes=5), FAILED)
    browser = signed_in(make_membership(organization))

    page = browser.get("/executions/statistics?hours=168")

    of_status = page.context["pies"][0]["rows"]
    assert {row["key"]: row["before"] for row in of_status} == {"finished": 3, "error": 0}
    of_agents, of_users = (
        {row["key"]: (row["count"], row["before"]) for row in pie["rows"]}
        for pie in page.context["pies"][1:]
    )
    assert list(of_agents.values()) == [(2, 3)]
    assert of_users == {NOBODY: (2, 3)}
    runtimes = page.context["runtimes"]
    assert {each["before"] for each in runtimes} == {each["value"] for each in runtimes} != {None}
    assert f"that started from {page.context['before_label']}." in page.content.decode()
    [hide] = [each["url"] for each in page.context["comparisons"] if not each["current"]]
    without = browser.get(hide)
    assert "Before" not in without.content.decode().partition("<main")[2]
    assert all("compare=no" in each["url"] for each in without.context["query"].ranges)
    nothing = browser.get("/executions/statistics?hours=1")
    assert (nothing.context["comparisons"], nothing.context["before_label"]) == ([], "")


def test_what_was_counted_with_others_before_is_unknown(
    organization: Organization, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.queries.tally.MAX_VALUES", 1)
    before, today = timedelta(days=7, minutes=5), timedelta(minutes=5)
    for name, ago in (("one", before), ("one", before), ("two", before), ("two", today)):
        start = (timezone.now() - ago).timestamp()
        make_execution(organization, FINISHED, start=start, agent_name=name)

    page = signed_in(make_membership(organization)).get("/executions/statistics?hours=168")

    [row] = page.context["pies"][1]["rows"]
    assert (row["key"], row["count"], row["before"]) == ("two", 1, None)
