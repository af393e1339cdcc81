"""The pages of an execution: what is known about it, its log, events and files."""

import re
from html import escape, unescape
from typing import Any
from uuid import uuid4

import pytest

from agents.tests.factories import make_agent
from executions.models import now
from executions.tests.factories import (
    FAILED,
    RUNNING,
    make_execution,
    make_file,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.reported import event, markdown, page_of

Role = Membership.Role
TRACE = """Traceback (most recent call last):
  File "/opt/agents/studio/flows.py", line 3, in run
    secret_function()
ValueError: The sheet is empty
"""
LONG_TRACE = TRACE.replace(
    "  File", '  File "/opt/more.py", line 1, in secret_function\n' * 100 + "  File", 1
)


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, Role.OPERATOR))


@pytest.mark.parametrize(("statuses", "shows"), [(FAILED, True), (RUNNING, False)])
def test_a_run_that_failed_leads_to_its_agents_runbook(
    organization: Organization, browser: Any, statuses: Any, shows: bool
) -> None:
    address = "https://wiki.example.com/screener?a=1&b=2"
    agent = make_agent(organization, runbook_url=address)
    execution = make_execution(organization, statuses, agent=agent)

    page = page_of(browser, execution)

    link = f'<a href="{escape(address)}" rel="noopener noreferrer">the runbook of {agent.name}</a>'
    assert (link in page) == shows


def test_the_page_tells_all_that_is_known(organization: Organization, browser: Any) -> None:
    execution = make_execution(
        organization,
        start=now() - 60,
        user=make_outside_user(organization, "Ada", uuid4()),
        input_tokens=1200,
        output_tokens=34,
        cost="0.0021",
        events=[
            tagged("meta", now() - 60, summary="Hymn Creator", author="studio", tags=["a", "b"]),
            tagged("inputs", now() - 60, topic="wool", _global_=None),
            event("action", markdown("**Step** one")),
            event("final", markdown("# Wool got dearer"), 1.5),
        ],
    )
    make_file(execution, "in", "sub folder/Größe & Co.txt", b"x" * 2048)

    text = page_of(browser, execution)

    for part in (
        "Hymn Creator",
        "by Ada",
        "studio",
        '<a href="/executions?hours=999999&amp;tag=b">b</a>',
        escape("<strong>Step</strong> one"),
        escape("<h1>Wool got dearer</h1>"),
        "wool",
        "1,234",
        "1,200 in, 34 out",
        "0.0021",
        "2.0\N{NO-BREAK SPACE}KB",
        "sub folder/Größe &amp; Co.txt",
        f"/files/{execution.fid}/in/sub%20folder/Gr%C3%B6%C3%9Fe%20%26%20Co.txt",
    ):
        assert part in text, part
    assert "_global_" not in text
    assert "data-streams" not in text


def test_a_live_run_is_followed_from_its_last_event(
    organization: Organization, browser: Any
) -> None:
    execution = make_execution(organization, RUNNING)

    result, log = page_of(browser, execution), page_of(browser, execution, "/log")

    streams = f"/outputs/main/{execution.fid} /outputs/stdio/{execution.fid}"
    assert f'data-streams="{streams}" data-known="2"' in result
    assert f'data-streams="/outputs/stdio/{execution.fid}" data-known="2"' in log


def test_of_very_many_questions_some_are_read(organization: Organization, signed_in: Any) -> None:
    start = now() - 60
    locks = [tagged("lock", start + n, name=f"step {n}", lid=f"l{n}") for n in range(40)]
    execution = make_execution(organization, RUNNING, start=start, events=locks)

    page = signed_in(make_membership(organization)).get(f"/executions/{execution.fid}")

    asked = [question["name"] for question in page.context["questions"]]
    assert asked == [f"step {n}" for n in range(10, 15)]
    assert "And 35 more questions." in page.content.decode()


@pytest.mark.parametrize(("left", "words"), [(600, "Open until"), (-10, "Was open until")])
def test_an_open_lock_is_said_to_wait(
    organization: Organization, browser: Any, left: int, words: str
) -> None:
    lock = tagged(
        "lock", now() - 30, name="approve", lid="l1", data={"amount": 12.5}, expires=now() + left
    )
    execution = make_execution(organization, RUNNING, start=now() - 60, events=[lock])

    text = page_of(browser, execution)

    assert "Waiting for an answer: approve" in text
    assert "12.5" in text
    assert f">{words} <time" in text
    assert "awaiting" in text


def test_long_words_in_a_trace_can_break(organization: Organization, signed_in: Any) -> None:
    trace = TRACE.replace("\n", "\n    " + "\u0626" * 10_000 + "\u0301" * 5_000 + "\n", 1)
    execution = make_execution(organization, FAILED, events=[event("error", trace)])
    browser = signed_in(make_membership(organization, Membership.Role.OPERATOR))

    page = browser.get(f"/executions/{execution.fid}").content.decode()

    assert "\u0626" * 200 + "\u200b" in page
    assert "\u0626" * 201 not in page
    assert "\u0301" * 31 not in page


@pytest.mark.parametrize("trace", [TRACE, LONG_TRACE], ids=["short", "long"])
def test_everyone_reads_the_error_and_operators_its_trace(
    organization: Organization, browser: Any, signed_in: Any, trace: str
) -> None:
    viewer = make_membership(organization, Role.VIEWER)
    execution = make_execution(
        organization, FAILED, user=make_user_of(viewer), events=[event("error", trace)]
    )

    for path in ("", "/log", "/events", "/log.txt", "/events.jsonl"):
        theirs = signed_in(viewer).get(f"/executions/{execution.fid}{path}")
        all_ = browser.get(f"/executions/{execution.fid}{path}")
        own, whole = (b"".join(each) if each.streaming else each.content for each in (theirs, all_))
        assert b"ValueError: The sheet is empty" in own
        assert b"secret_function" not in own
        assert b"secret_function" in whole


def test_made_up_kinds_of_events_neither_fill_nor_style_the_page(
    organization: Organization, browser: Any
) -> None:
    told = [event(f"toast {number}", "x") for number in range(90)]
    execution = make_execution(organization, events=told)

    answer = browser.get(f"/executions/{execution.fid}/events")

    assert len(answer.context["kinds"]) == 40
    assert "status" in {kind["label"] for kind in answer.context["kinds"]}
    assert len(answer.context["events"]) == 93
    assert not re.search('class="[^"]*toast', answer.content.decode())


def test_events_are_paged_and_narrowed_to_a_kind(organization: Organization, browser: Any) -> None:
    told = [event("stdout", "x" * 5000) for _ in range(120)]
    execution = make_execution(organization, events=told)
    address = f"/executions/{execution.fid}/events"

    pages = [browser.get(f"{address}{query}") for query in ("", "?page=2", "?kind=status")]

    assert [len(page.context["events"]) for page in pages] == [100, 23, 3]
    assert {each["kind"] for each in pages[2].context["events"]} == {"status"}
    assert "5,000 characters in total" in pages[0].content.decode()


def test_the_statuses_are_drawn_one_after_the_other(
    organization: Organization, browser: Any
) -> None:
    start = now() - 100
    execution = make_execution(
        organization,
        (("starting", 0.0), ("running", 10.0), ("finished", 100.0)),
        start=start,
        events=[
            tagged("lock", start + 40, name="approve", lid="l1"),
            tagged("lease", start + 70, name="approve", lid="l1"),
        ],
    )

    phases = browser.get(f"/executions/{execution.fid}").context["phases"]

    assert [(bar["word"], round(bar["ms"] / 1000)) for bar in phases["bars"]] == [
        ("starting", 10),
        ("running", 30),
        ("awaiting", 30),
        ("running", 30),
    ]
    assert [bar["x"] for bar in phases["bars"]] == ["0.0", "100.0", "400.0", "700.0"]


@pytest.mark.parametrize("fid", ["%00", "a%00b", "x" * 300, "%ED%A0%80", "..", "errors%2F.."])
def test_an_id_that_cannot_be_one_is_unknown(
    organization: Organization, browser: Any, fid: str
) -> None:
    make_execution(organization)

    assert browser.get(f"/executions/{fid}").status_code in {302, 404}


def test_the_files_are_a_part_of_the_list_and_of_the_page(
    organization: Organization, browser: Any
) -> None:
    execution = make_execution(organization)
    make_file(execution, "out", "report.md")
    address = f"/executions/{execution.fid}/files"

    part = browser.get(address, headers={"HX-Request": "true"})

    assert "report.md" in part.content.decode()
    assert "<h1" not in part.content.decode()
    assert browser.get(address)["Location"] == f"/executions/{execution.fid}#files"


@pytest.mark.parametrize("back", ["\r", "\b" * 20], ids=["a return", "backspaces"])
def test_a_progress_bar_is_one_line_wherever_it_is_shown(
    organization: Organization, browser: Any, back: str
) -> None:
    steps = [f"{step:3} % {'#' * (step // 10)}" for step in range(0, 101, 10)]
    bar = "Reading\n" + "".join(f"{back}{step}" for step in steps)
    execution = make_execution(organization, events=[event("stdout", bar + "\r\ndone")])
    shown = "Reading\n100 % ##########\ndone"

    page = unescape(page_of(browser, execution, "/log"))
    file = b"".join(browser.get(f"/executions/{execution.fid}/log.txt")).decode()
    stream = b"".join(browser.get(f"/outputs/stdio/{execution.fid}")).decode()

    assert shown in page
    assert shown in file
    assert "100 % ##########" in stream
    assert not [text for text in (page, file, stream) if " 50 %" in text]
