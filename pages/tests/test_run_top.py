"""The top of a run's page says what matters by its status; beside it the facts, and its log."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from executions.event_log import NewEvent, append_events
from executions.models import Execution, now
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.executions.inputs import inputs_of
from pages.executions.progress import first_words
from pages.executions.step_bars import MAX_BARS

Role = Membership.Role
TRACE = """Traceback (most recent call last):
  File "/opt/agents/studio/flows.py", line 31, in choose_reader
    secret_function()
ValueError: The sheet is empty
"""


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization, Role.OPERATOR))
    return found


def main_of(browser: Client, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)
    assert main
    return unescape(main[0])


def written(kind: str, text: str, seconds: float = 1.0) -> NewEvent:
    return NewEvent(now() - 60 + seconds, kind, text)


def test_a_failure_shows_its_own_frame_to_operators_and_its_group_to_all(
    organization: Organization, browser: Client, signed_in: Any
) -> None:
    viewer = make_membership(organization, Role.VIEWER)
    own = {"agent_name": "router", "user": make_user_of(viewer)}
    long = TRACE.replace(
        "  File", '  File "/opt/lib/python3.12/x.py", line 1, in x\n' * 900 + "  File"
    )
    told = [written("stdout", "last words"), written("error", long, 2)]
    execution = make_execution(organization, FAILED, events=told, **own)
    for name in ("router", "crm-sync"):
        make_execution(organization, FAILED, events=[written("error", TRACE)], agent_name=name)

    theirs = main_of(browser, f"/executions/{execution.fid}")
    own_page = main_of(signed_in(viewer), f"/executions/{execution.fid}")

    for page in (theirs, own_page):
        top = page[page.index("band-failed") : page.index('id="steps-title"')]
        assert "ValueError: The sheet is empty" in top
        assert "last words" in top
    assert "flows.py, line 31</strong>, in choose_reader" in theirs
    assert "<span>31</span>secret_function()</mark>" in theirs
    assert "Same error in 2 other runs</strong> across 2 agents in 30 days" in theirs
    assert "/executions/errors?group=v6%3A" in theirs
    # Of a trace a viewer reads nothing, and counts only what a viewer may see.
    assert "secret_function" not in own_page
    assert "flows.py" not in own_page
    assert "No other run failed like this" in own_page


def test_a_failure_counts_other_runs_and_none_twice(
    organization: Organization, browser: Client
) -> None:
    old = now() - 40 * 86_400
    first = make_execution(
        organization, FAILED, start=old, events=[NewEvent(old + 1, "error", TRACE)]
    )

    before = main_of(browser, f"/executions/{first.fid}")
    repeating = make_execution(
        organization,
        FAILED,
        events=[written("error", TRACE, seconds) for seconds in (1, 2, 3)],
        agent_name="crm-sync",
    )

    assert "No other run failed like this in 30 days" in before
    assert "No other run failed like this" in main_of(browser, f"/executions/{repeating.fid}")
    after = main_of(browser, f"/executions/{first.fid}")
    assert "Same error in 1 other run</strong> of crm-sync in 30 days" in after
    assert "See all 3 errors" in after


@pytest.mark.parametrize(
    ("statuses", "told", "words"),
    [
        (RUNNING, [], "No step reported yet"),
        (RUNNING, [tagged("agent", now(), task={"name": "Sort mail"})], "Task: Sort mail"),
        (RUNNING, [written("action", '{"Markdown": {"body": "## Read 3 of 9"}}')], "Read 3 of 9"),
        (RUNNING[:1], [], "The run is starting"),
        ([*RUNNING, ("awaiting", 1.0)], [], "Waiting, but no question was reported"),
        ([*RUNNING, ("cancelled", 1.0)], [], "Stopped after"),
        (FAILED, [], "The execution failed without a message."),
        (FINISHED, [], "The run finished without a result."),
    ],
)
def test_each_status_says_what_matters(
    organization: Organization, browser: Client, statuses: Any, told: Any, words: str
) -> None:
    execution = make_execution(organization, statuses, start=now() - 60, events=told)

    assert words in main_of(browser, f"/executions/{execution.fid}")


def test_the_closed_drawer_shows_the_worst_line_of_an_ended_run_and_the_last_of_a_live_one(
    organization: Organization, browser: Client
) -> None:
    lines = [written("stdout", f"line {number}", number) for number in range(9)]
    lines += [written("stderr", "slow answer", 3.5), written("error", TRACE, 4.5)]

    shown = {}
    for statuses in (RUNNING, FINISHED):
        execution = make_execution(organization, statuses, start=now() - 60, events=lines)
        response = browser.get(f"/executions/{execution.fid}")
        tail = response.context["tail"]
        shown[statuses] = (tail["line"]["text"], tail["counts"])
        assert [line["text"] for line in tail["lines"]] == [
            "ValueError: The sheet is empty",
            *(f"line {number}" for number in range(5, 9)),
        ]
        assert f'href="/executions/{execution.fid}/log"' in response.content.decode()

    counts = "11 lines, 1 on stderr, 1 error"
    assert shown[RUNNING] == ("line 8", counts)
    assert shown[FINISHED] == ("ValueError: The sheet is empty", counts)


def test_a_link_to_a_line_leads_there_however_many_follow(
    organization: Organization, browser: Client
) -> None:
    told = [written("stdout", f"line {number}", number / 1e3) for number in range(1_300)]
    execution = make_execution(organization, RUNNING, start=now() - 60, events=told)
    address = f"/executions/{execution.fid}/log"

    newest, around, odd = [browser.get(address + query) for query in ("", "?line=20", "?line=x")]

    number = 'id="line-20"'
    assert number not in newest.content.decode()
    assert number in around.content.decode()
    assert len(around.context["lines"]["rows"]) < 300
    # Others follow, so that new lines would leave a gap.
    assert (newest.context["streams"], around.context["streams"]) == (
        [f"/outputs/stdio/{execution.fid}"],
        [],
    )
    assert odd.context["lines"] == newest.context["lines"]


def test_the_previous_and_the_next_run_are_of_the_same_agent(
    organization: Organization, browser: Client, signed_in: Any
) -> None:
    viewer = make_membership(organization, Role.VIEWER)
    agent, other = make_agent(organization), make_agent(organization)
    start = now() - 1_000
    user = make_user_of(viewer)
    runs = [
        make_execution(organization, start=at, agent=agent, user=who)
        for at, who in ((start, user), (start + 5, None), (start + 5, user), (start + 9, None))
    ]
    make_execution(organization, start=start + 6, agent=other)
    make_execution(organization, start=start + 6)
    runs.sort(key=lambda run: (run.start_time, run.pk))

    def beside(visitor: Client, run: Any) -> tuple[Any, Any]:
        context = visitor.get(f"/executions/{run.fid}").context
        return context["previous_run"], context["next_run"]

    assert [beside(browser, run) for run in runs] == [
        (None, runs[1]),
        (runs[0], runs[2]),
        (runs[1], runs[3]),
        (runs[2], None),
    ]
    theirs = [run for run in runs if run.user_id]
    assert beside(signed_in(viewer), theirs[0]) == (None, theirs[1])


def test_each_step_has_its_bar_on_the_axis_of_the_run(
    organization: Organization, browser: Client
) -> None:
    start = now() - 100
    asked = tagged("lock", start + 40, name="approve", lid="l1", data={"question": "Go on?"})
    answered = tagged("lease", start + 70, name="approve", lid="l1", result={"answer": "yes"})
    execution = make_execution(
        organization,
        (("running", 0.0), ("error", 100.0)),
        start=start,
        events=[asked, answered, NewEvent(start + 99, "error", "ValueError: no")],
    )

    page = main_of(browser, f"/executions/{execution.fid}")

    found = [
        [
            (c, round(float(x)), round(float(w)))
            for c, x, w in re.findall(
                r'class="step-(?!track)([\w-]+)" x="([\d.]+)" y="0" width="([\d.]+)"', bar
            )
        ]
        for bar in bars_of(page)
    ]
    assert found == [
        [("run", 0, 400)],
        [("wait", 400, 300)],
        [("bad", 700, 300)],
        [("bad", 992, 8)],
    ]
    heads = re.findall(r'class="run-step-head">([^<]*)<', page)
    assert heads == ["Started", "Waiting for an answer: approve", "Answered: approve", heads[-1]]
    assert "answer: yes" in page


def with_many_statuses(organization: Organization, times: list[float]) -> Execution:
    """A run of 1,000 seconds that asks, and is answered, every eight, with steps at these times."""
    start = now() - 1_000
    asked = [
        tagged("lease" if second % 8 else "lock", start + second, lid="a")
        for second in range(8, 996, 4)
    ]
    steps = [NewEvent(start + time, "action", '{"Text": {"body": "x"}}') for time in times]
    run = make_execution(organization, RUNNING, start=start, events=asked)
    with organization_scope(organization):
        append_events(run, steps, is_strict=False)
        end = NewEvent(start + 1_000, "status", "finished")
        return append_events(run, [end], is_strict=False)


def test_a_page_has_only_so_many_bars_when_times_jump_to_and_fro(
    organization: Organization, browser: Client
) -> None:
    run = with_many_statuses(organization, [990.0 * (number % 2) for number in range(100)])

    page = main_of(browser, f"/executions/{run.fid}")

    found = [bar.count("<rect") - 1 for bar in bars_of(page)]
    assert len(found) == 103
    assert min(found) == 1
    assert max(found) > 240, "the newest has all of its own"
    assert 1_800 < sum(found) <= MAX_BARS + len(found)
    assert len(page) < 500_000


def test_a_run_whose_times_follow_each_other_has_all_its_bars(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_many_statuses(organization, [10.0 * number for number in range(100)])

    page = main_of(browser, f"/executions/{run.fid}")
    monkeypatch.setattr("pages.executions.step_bars.MAX_BARS", 1_000_000)

    assert bars_of(page) == bars_of(main_of(browser, f"/executions/{run.fid}"))
    assert sum(bar.count("<rect") - 1 for bar in bars_of(page)) > 240


def bars_of(page: str) -> list[str]:
    return re.findall(r'class="run-step-bar">.*?</div>', page, re.DOTALL)


def test_steps_that_are_left_out_are_nobodys_time(
    organization: Organization, browser: Client
) -> None:
    start = now() - 1_000
    told = [NewEvent(start + number, "action", '{"Text": {"body": "x"}}') for number in range(600)]
    execution = make_execution(
        organization, (("running", 0.0), ("finished", 1_000.0)), start=start, events=told
    )

    page = main_of(browser, f"/executions/{execution.fid}")

    rows = re.findall(r'<li class="run-step">.*?</li>', page, re.DOTALL)
    assert [re.findall(r'run-step-(?:head|time)"[^>]*>([^<]*)<', row) for row in rows[:3]] == [
        ["0 s", "Started"],
        ["Earlier steps are not shown"],
        ["+8\N{NO-BREAK SPACE}m\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}s", "Action"],
    ]
    assert [re.findall(r"</svg><span>([^<]*)<", row) for row in rows[:3]] == [
        [],
        ["8\N{NO-BREAK SPACE}m\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}s"],
        ["1\N{NO-BREAK SPACE}s"],
    ]
    assert len(rows) == 103


def test_a_step_too_short_for_its_bar_has_the_colour_of_its_status(
    organization: Organization, browser: Client
) -> None:
    start = now() - 100_000
    asked = tagged("lock", start + 20, name="approve", lid="l1")
    execution = make_execution(
        organization, (("starting", 0.0), ("running", 10.0)), start=start, events=[asked]
    )

    page = main_of(browser, f"/executions/{execution.fid}")

    assert re.findall(r'class="run-step-dot step-([\w-]+)"', page) == ["ink-3", "wait"]


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        (None, []),
        (
            {"dict": {"city": {"name": "Bern", "size": {"km": 51.6}}}},
            [("city.name", "Bern"), ("city.size.km", "51.6")],
        ),
        (
            {"dict": {"a": ["x", 2], "on": True, "none": None, "{}": {}}},
            [("a", "x, 2"), ("on", "yes"), ("none", ""), ("{}", "{}")],
        ),
        ({"dict": {"a": {"b": {"c": {"d": 1}}}}}, [("a.b.c", '{\n  "d": 1\n}')]),
        ({"str": "only words"}, [("Input", "only words")]),
    ],
)
def test_inputs_are_names_and_values(
    inputs: Any, rows: list[tuple[str, str]], organization: Organization
) -> None:
    execution = make_execution(organization)
    execution.inputs = inputs

    assert inputs_of(execution) == rows


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('{"Markdown": {"body": "\\n# **Read** 3 of 9\\nmore"}}', "Read 3 of 9"),
        ('{"CrewOutput": {"raw": "Done with `it`"}}', "Done with it"),
        ('{"HTML": {"body": "<p>No words</p>"}}', ""),
        ('{"a": 1, "b": 2}', ""),
        ("plain words", "plain words"),
        ("[" * 3_000, "[" * 159 + "…"),
        ("x" * 5_000, ""),
    ],
)
def test_progress_is_the_first_line_that_a_step_says(message: str, words: str) -> None:
    assert first_words(message) == words
