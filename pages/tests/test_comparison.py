"""What differs between a run and the one before it, on the run's page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from agents.tests.factories import make_agent
from executions.models import Execution
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

SignedIn = Callable[[Membership], Client]
PLAIN = str.maketrans("\N{EN DASH}\N{MINUS SIGN}\N{MULTIPLICATION SIGN}\xa0", "--x ")
START = 1_790_000_000.0


@pytest.fixture
def browser(organization: Organization, signed_in: SignedIn) -> Client:
    return signed_in(make_membership(organization, "operator"))


def make_run(
    organization: Organization,
    minute: int,
    statuses: Any = FINISHED,
    inputs: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    **overrides: Any,
) -> Execution:
    start = START + 60 * minute
    told = [tagged("inputs", start + 0.1, **inputs)] if inputs is not None else []
    told += [tagged("meta", start + 0.1, **meta)] if meta is not None else []
    fields = {"agent_name": "router"} | overrides
    return make_execution(organization, statuses, start=start, events=told, **fields)


def lasting(seconds: float, end: str = "finished") -> list[tuple[str, float]]:
    return [("running", 0.0), (end, seconds)]


def shown(browser: Client, run: Execution) -> dict[str, Any] | None:
    found: dict[str, Any] | None = browser.get(f"/executions/{run.fid}").context["comparison"]
    return found


def rows(browser: Client, run: Execution) -> dict[str, tuple[str, str, str]]:
    """The differences by name: this run, the other one, the change."""
    found = shown(browser, run)
    assert found
    texts = {row.name: (row.now, row.before, row.change) for row in found["rows"]}
    return {name: tuple(each.translate(PLAIN) for each in row) for name, row in texts.items()}


@pytest.mark.parametrize(
    ("before", "now", "row"),
    [
        ({"limit": 9}, {"limit": 33}, {"limit": ("33", "9", "+24")}),
        ({"limit": 1.5}, {"limit": -1}, {"limit": ("-1", "1.5", "-2.5")}),
        ({"box": "in"}, {"box": "out"}, {"box": ("out", "in", "")}),
        ({"box": "in"}, {"box": ""}, {"box": ("empty", "in", "")}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"a.b": ("2", "1", "+1")}),
        ({"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": ("-", "1", ""), "c": ("1", "-", "")}),
        ({"a": "NaN"}, {"a": "Infinity"}, {"a": ("Infinity", "NaN", "")}),
        ({"a": "0"}, {"a": "1e999999"}, {"a": ("1e999999", "0", "")}),
        ({"a": "0"}, {"a": "1e1000000"}, {"a": ("1e1000000", "0", "")}),
        ({"a": 0}, {"a": 1e-300}, {"a": ("1e-300", "0", "")}),
        ({"a": 0}, {"a": 10**99}, {"a": (f"{10**99}", "0", "")}),
        ({"a": "٣"}, {"a": "1_0"}, {"a": ("1_0", "٣", "")}),
        ({"a": 1e15 - 1}, {"a": -0.000000001}, {"a": ("-1e-09", "999999999999999.0", "")}),
        (
            {"a": 10**15 - 1},
            {"a": 1 - 10**15},
            {"a": ("-" + "9" * 15, "9" * 15, "-1" + ",999" * 4 + ",998")},
        ),
        ({"a": "x" * 200}, {"a": 1}, {"a": ("1", "x" * 119 + "…", "")}),
        ({"a": 1}, {"a": 1}, {}),
    ],
)
def test_inputs_that_differ_come_first(
    browser: Client,
    organization: Organization,
    before: dict[str, Any],
    now: dict[str, Any],
    row: dict[str, tuple[str, str, str]],
) -> None:
    make_run(organization, 0, lasting(10), inputs=before)
    run = make_run(organization, 1, lasting(10), inputs=now)

    assert rows(browser, run) == row


@pytest.mark.parametrize(
    ("before", "now", "row"),
    [
        (
            {"statuses": lasting(10)},
            {"statuses": lasting(37)},
            ("Runtime", "37 s", "10 s", "3.7 x"),
        ),
        ({"statuses": lasting(20)}, {"statuses": lasting(5)}, ("Runtime", "5 s", "20 s", "-75 %")),
        ({"cost": 1}, {"cost": 12}, ("Cost", "$ 12.00", "$ 1.00", "12 x")),
        ({}, {"cost": 2}, ("Cost", "$ 2.00", "-", "")),
        ({"input_tokens": 900}, {"output_tokens": 90}, ("Model tokens", "90", "900", "-90 %")),
        ({"meta": {"version": "3.1"}}, {"meta": {"version": "3.2"}}, ("Version", "3.2", "3.1", "")),
        ({"meta": {"summary": "Sort"}}, {}, ("Task", "-", "Sort", "")),
    ],
)
def test_facts_that_differ_are_rows(
    browser: Client,
    organization: Organization,
    before: dict[str, Any],
    now: dict[str, Any],
    row: tuple[str, str, str, str],
) -> None:
    make_run(organization, 0, **before)
    run = make_run(organization, 1, **now)

    name, *texts = row
    assert rows(browser, run)[name] == tuple(texts)


def test_what_is_nearly_the_same_is_named_in_a_sentence(
    browser: Client, organization: Organization
) -> None:
    for minute, seconds in enumerate((10, 11.9)):
        run = make_run(
            organization, minute, lasting(seconds), inputs={"a": 1}, meta={"version": "1"}
        )

    text = " ".join(strip_tags(browser.get(f"/executions/{run.fid}").content.decode()).split())

    assert shown(browser, run)["rows"] == []  # type: ignore[index]
    assert "Nothing noteworthy differs. About the same: the inputs, version, runtime." in text


def test_many_differences_are_cut_and_counted(browser: Client, organization: Organization) -> None:
    make_run(organization, 0, lasting(1), inputs={f"i{n}": 1 for n in range(10)})
    run = make_run(organization, 1, lasting(9), inputs={f"i{n}": 2 for n in range(10)})

    found = shown(browser, run)

    assert found
    assert len(found["rows"]) == 8
    assert found["more"] == 3
    assert (
        "3 more differences in the inputs" in browser.get(f"/executions/{run.fid}").content.decode()
    )


def test_a_failure_is_compared_with_the_last_run_that_finished(
    browser: Client, organization: Organization
) -> None:
    finished = make_run(organization, 0, inputs={"a": 1})
    for minute in (1, 2):
        failed = make_run(organization, minute, FAILED, inputs={"a": 2})

    page = browser.get(f"/executions/{failed.fid}").content.decode()

    assert "Compared with the last run that finished" in page
    assert re.search(rf'class="card-link" href="/executions/{finished.fid}">', page)
    assert rows(browser, failed)["a"] == ("2", "1", "+1")


def test_failures_only_are_compared_with_each_other(
    browser: Client, organization: Organization
) -> None:
    first = make_run(organization, 0, FAILED, inputs={"a": 1})
    second = make_run(organization, 1, FAILED, inputs={"a": 2})

    found = shown(browser, second)

    assert found
    assert (found["other"], found["is_previous"]) == (first, True)


def test_without_a_run_to_compare_with_there_is_no_comparison(
    browser: Client, organization: Organization
) -> None:
    first = make_run(organization, 0)
    live = make_run(organization, 1, RUNNING)
    after_live = make_run(organization, 2)
    other_agent = make_run(organization, 3, agent=make_agent(organization))

    for run in (first, live, after_live, other_agent):
        assert shown(browser, run) is None


def test_a_viewer_compares_own_runs_only(organization: Organization, signed_in: SignedIn) -> None:
    viewer = make_membership(organization, "viewer")
    own = {"user": make_user_of(viewer)}
    mine = make_run(organization, 0, inputs={"a": 1}, **own)
    make_run(organization, 1, inputs={"a": "theirs"})
    run = make_run(organization, 2, inputs={"a": 2}, **own)

    found = shown(signed_in(viewer), run)

    assert found
    assert found["other"] == mine
