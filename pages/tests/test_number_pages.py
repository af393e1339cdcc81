"""Errors, timeline and statistics as pages: every number links to as many rows."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from executions.event_log import NewEvent
from executions.models import ExecutionError, now
from executions.queries import tally
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_outside_user,
    make_user_of,
)
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.executions.statistics import OVERLAP

HOUR = 3600.0


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization))


def rows_behind(browser: Any, url: str) -> int:
    count: int = browser.get(url).context["page"].paginator.count
    return count


def failed(organization: Organization, message: str, ago: float = 0.0, **fields: Any) -> None:
    start = now() - ago
    error = NewEvent(start + 1, "error", message)
    make_execution(organization, FAILED, start=start, events=[error], **fields)


# Timeline


@pytest.mark.parametrize(
    "query",
    ["", "?hours=168", "?hours=720", "?hours=999999", "?status=finished", "?tz=Asia/Kolkata"],
)
def test_a_bar_has_as_many_executions_as_the_list_behind_it(
    organization: Organization, browser: Any, query: str
) -> None:
    for ago in (0.1, 0.2, 0.9, 1.5, 23.9, 24.2, 100, 24 * 25, 24 * 500):
        for statuses in (FINISHED, FAILED):
            make_execution(organization, statuses, start=now() - ago * HOUR)

    response = browser.get(f"/executions/timeline{query}")

    points = response.context["chart"]["points"]
    assert sum(point["count"] for point in points) == rows_behind(browser, f"/executions{query}")
    for point in points:
        if point["count"]:
            assert rows_behind(browser, point["url"]) == point["count"] == sum(point["counts"])


def test_the_hours_have_no_gap_and_the_last_is_not_over(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization, RUNNING)
    make_execution(organization, start=now() - 20 * HOUR)

    chart = browser.get("/executions/timeline").context["chart"]

    starts = [datetime.fromisoformat(point["start"]) for point in chart["points"]]
    steps = {(later - earlier).seconds for earlier, later in pairwise(starts)}
    assert steps == {3600}
    assert [point["partial"] for point in chart["points"]].count(True) == 1
    assert chart["points"][-1]["partial"]
    assert [part["label"] for part in chart["series"]] == ["finished", "running", "error"]


def test_a_chosen_time_can_be_made_longer_again(organization: Organization, browser: Any) -> None:
    make_execution(organization, start=datetime(2026, 3, 10, 12, 30, tzinfo=UTC).timestamp())

    response = browser.get(
        "/executions/timeline?from=2026-03-10T12:00:00Z&to=2026-03-10T14:00:00Z&status=finished"
    )

    assert response.context["zoom_out_url"] == (
        "/executions/timeline?status=finished"
        "&from=2026-03-10T11%3A00%3A00Z&to=2026-03-10T15%3A00%3A00Z"
    )
    assert browser.get("/executions/timeline").context["zoom_out_url"] == ""


def test_a_time_in_which_nothing_ran_has_no_bars(organization: Organization, browser: Any) -> None:
    make_execution(organization, start=now() - 48 * HOUR)

    response = browser.get("/executions/timeline?hours=1")

    assert response.context["chart"]["points"] == []
    text = response.content.decode()
    assert "Nothing ran in this period" in text
    assert "A bar counts" not in text


@pytest.mark.parametrize(
    ("hours", "words"),
    [(2160, "Last 90 days, "), (48, "Last 2 days, "), (50, "Last 50 hours, "), (24, "Last 24 h")],
)
def test_a_time_of_whole_days_is_written_in_days(browser: Any, hours: int, words: str) -> None:
    query = browser.get(f"/executions?hours={hours}").context["query"]

    assert query.context_line.startswith(words)


@pytest.mark.parametrize(("number", "verb"), [(1, "is"), (2, "are")])
def test_what_started_earlier_is_told_in_good_english(
    organization: Organization, browser: Any, number: int, verb: str
) -> None:
    for _ in range(number):
        make_execution(organization, RUNNING, start=now() - 3 * HOUR)
    make_execution(organization)

    chart = browser.get("/executions/timeline?hours=1").context["chart"]

    assert chart["summary"].endswith(f". {number} that started earlier {verb} not in the bars")


# Statistics


def test_slices_and_their_shares_are_of_all_agents_however_many_are_named(
    organization: Organization, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "MAX_VALUES", 8)
    for number in range(12):
        make_execution(organization, agent_name=f"Agent {number:02}")

    _, by_agent, by_user = browser.get("/executions/statistics").context["pies"]

    assert [each["count"] for each in by_agent["slices"]] == [1] * 7 + [5]
    assert by_agent["slices"][-1]["label"] == "5 more"
    assert (by_agent["total"], by_agent["more"]) == (12, 4)
    assert by_agent["rows"][0]["share"] == pytest.approx(100 / 12)
    assert (by_user["total"], by_user["more"]) == (12, 0)


def test_a_slice_has_as_many_executions_as_the_list_behind_it(
    organization: Organization, browser: Any
) -> None:
    ada, grace = (make_outside_user(organization, name, uuid4()) for name in ("Ada", "Grace"))
    for number in range(9):
        for _ in range(number + 1):
            make_execution(
                organization,
                FAILED if number % 3 else FINISHED,
                agent_name=f"Agent {number}",
                user=(ada, grace, None)[number % 3],
            )

    pies = browser.get("/executions/statistics").context["pies"]

    assert [pie["title"] for pie in pies] == ["By status", "By agent", "By user"]
    for pie in pies:
        assert pie["total"] == sum(row["count"] for row in pie["rows"]) == 45
        assert sum(row["share"] for row in pie["rows"]) == pytest.approx(100)
        lengths = [float(each["length"]) - OVERLAP for each in pie["slices"]]
        assert sum(lengths) == pytest.approx(100, abs=0.01)
        starts = [OVERLAP - float(each["start"]) for each in pie["slices"]]
        assert starts == pytest.approx([sum(lengths[:n]) for n in range(len(lengths))], abs=0.01)
        for row in pie["rows"]:
            assert rows_behind(browser, row["url"]) == row["count"], row
    agents = pies[1]
    assert [each["label"] for each in agents["slices"]][-1] == "2 more"
    assert agents["slices"][-1]["count"] == 3
    assert len({row["colour"] for row in agents["rows"][:7]}) == 7


def test_an_agent_keeps_its_colour_when_its_rank_changes(
    organization: Organization, browser: Any
) -> None:
    def colours() -> dict[str, str]:
        rows = browser.get("/executions/statistics").context["pies"][1]["rows"]
        return {row["label"]: row["colour"] for row in rows}

    for name in ("Hymn Creator", "Hymn Creator", "Market Research"):
        make_execution(organization, agent_name=name)
    before = colours()
    for _ in range(5):
        make_execution(organization, agent_name="Market Research")

    assert colours() == before


# Errors


def test_errors_of_one_kind_are_one_group_that_leads_to_its_errors(
    organization: Organization, browser: Any
) -> None:
    failed(organization, "quota of 40 exceeded", 30, agent_name="Hymn")
    failed(organization, "quota of 71 exceeded", 20, agent_name="Psalm")
    failed(organization, "disk is full", 10, agent_name="Hymn")

    response = browser.get("/executions/errors")

    groups = {row["group"].message: row for row in response.context["groups"]}
    assert {message: row["group"].count for message, row in groups.items()} == {
        "quota of 71 exceeded": 2,
        "disk is full": 1,
    }
    for row in groups.values():
        assert rows_behind(browser, row["url"]) == row["group"].count == sum(row["spark"])
    assert groups["quota of 71 exceeded"]["agents"] == "2 agents: Hymn, Psalm"
    response = browser.get(groups["quota of 71 exceeded"]["url"])
    for row in response.context["by_agent"]:
        assert rows_behind(browser, row["url"]) == row["count"] == 1
    chosen = response.content.decode()
    assert "quota of 40 exceeded" in chosen
    assert "disk is full" not in chosen
    assert "group is" in chosen


def test_a_group_that_is_none_says_so(organization: Organization, browser: Any) -> None:
    failed(organization, "disk is full")

    response = browser.get("/executions/errors?group=v1:nonsense")

    assert response.status_code == 200
    assert response.context["page"].paginator.count == 0


def test_an_error_has_its_context_and_operators_its_trace(
    organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    trace = (
        'Traceback (most recent call last):\n  File "/opt/flows.py", line 3, in run\n'
        "    secret_function()\nValueError: The sheet is empty"
    )
    failed(organization, trace, agent_name="Hymn", user=make_user_of(viewer))
    failed(organization, "somebody else's", agent_name="Other")

    url = "/executions/errors"
    with organization_scope(organization):
        group = ExecutionError.objects.get(error_type="ValueError").fingerprint
    theirs, all_ = (
        "".join(each.get(page).content.decode() for page in (url, f"{url}?group={group}"))
        for each in (signed_in(viewer), signed_in(make_membership(organization)))
    )

    assert "ValueError: The sheet is empty" in theirs
    assert "secret_function" not in theirs
    assert "somebody else" not in theirs
    assert "secret_function" in all_
    assert "somebody else" in all_


def test_newer_errors_are_counted_and_not_shown(organization: Organization, browser: Any) -> None:
    failed(organization, "quota of 1 exceeded")
    (row,) = browser.get("/executions/errors").context["groups"]
    seen = browser.get(row["url"]).context["seen"]
    failed(organization, "quota of 2 exceeded")

    response = browser.get(f"{row['url']}&seen={seen}")

    assert [row["error"].message for row in response.context["errors"]] == ["quota of 1 exceeded"]
    assert "1 new error" in response.content.decode()
