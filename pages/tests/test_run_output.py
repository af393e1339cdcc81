"""What agents wrote, on the pages of their runs: harmless, readable, and as whole as possible."""

import json
import re
import tracemalloc
from html import escape, unescape
from typing import Any
from uuid import uuid4

import pytest

from executions.models import now
from executions.sanitizing import TOO_COMPLEX
from executions.tests.factories import (
    FAILED,
    make_execution,
    make_file,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.reported import event, markdown, page_of

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, Membership.Role.OPERATOR))


@pytest.mark.parametrize("path", ["", "/log", "/events", "/files"])
def test_nothing_that_a_run_says_is_markup(
    organization: Organization, browser: Any, path: str
) -> None:
    told = [
        *(event(kind, HOSTILE) for kind in ("stdout", "stderr", "error", "upload", HOSTILE[:30])),
        *(event(kind, markdown(HOSTILE)) for kind in ("result", "action", "final")),
        tagged("meta", now(), summary=HOSTILE, author=HOSTILE, tags=[HOSTILE], version=HOSTILE),
        tagged("inputs", now(), **{HOSTILE: HOSTILE}),
        tagged("lock", now(), name=HOSTILE, lid=HOSTILE, data={HOSTILE: HOSTILE}),
        tagged("agent", now(), agent={"role": HOSTILE, "goal": HOSTILE}),
    ]
    execution = make_execution(
        organization,
        FAILED,
        fid="a'\"b c",
        user=make_outside_user(organization, HOSTILE, uuid4()),
        events=told,
    )
    make_file(execution, "out", f"{HOSTILE}.txt")

    headers = {"HX-Request": "true"} if path == "/files" else {}
    response = browser.get(f"/executions/a'%22b%20c{path}", headers=headers)

    assert response.status_code == 200
    assert b"<img" not in response.content


def test_html_of_an_agent_stands_in_a_frame_alone(organization: Organization, browser: Any) -> None:
    told = [event(kind, markdown("**mine**")) for kind in ("action", "result", "final")]
    told += [event("result", json.dumps({"Text": {"body": "<b>text</b>"}}))]
    execution = make_execution(organization, events=told)

    text = page_of(browser, execution)

    frames = re.findall(r"<iframe[^>]*>", text)
    assert [frame.count(escape("<strong>mine</strong>")) for frame in frames] == [1, 2]
    assert "mine" not in re.sub(r"<iframe[^>]*>", "", text)
    for frame in frames:
        # No scripts, no origin, no forms, no top navigation: only links that open in new tabs.
        (sandbox,) = re.findall(r' sandbox="([^"]*)"', frame)
        assert sandbox.split() == ["allow-popups", "allow-popups-to-escape-sandbox"]
        (document,) = re.findall(r' srcdoc="([^"]*)"', frame)
        head = unescape(unescape(document).partition("<body")[0])
        assert "default-src 'none'; style-src http://testserver/static/css/;" in head
        assert "unsafe" not in head
        assert re.search(' title="[^"]+"', frame)


def test_text_alone_needs_no_frame(organization: Organization, browser: Any) -> None:
    body = json.dumps({"Text": {"body": "<b>text</b>"}})
    told = [event(kind, body) for kind in ("action", "result", "final")]

    text = page_of(browser, make_execution(organization, events=told))

    assert "<iframe" not in text
    assert text.count("<pre>&lt;b&gt;text&lt;/b&gt;</pre>") == 3


@pytest.mark.parametrize(
    "message",
    ["{", "null", "[]", "7", '{"dict": 7}', '{"dict": {"name": {}, "expires": 9e99}}', "[" * 5000],
)
def test_values_of_unexpected_form_are_still_shown(
    organization: Organization, browser: Any, message: str
) -> None:
    kinds = ("meta", "inputs", "agent", "lock", "lease", "action", "result", "final", "status")
    execution = make_execution(organization, events=[event(kind, message) for kind in kinds])

    for path in ("", "/log", "/events"):
        page_of(browser, execution, path)


def test_the_newest_steps_and_lines_are_shown_and_the_rest_is_named(
    organization: Organization, browser: Any
) -> None:
    told = [event("stdout", f"line {number}") for number in range(1001)]
    told += [event("action", markdown(f"step {number}")) for number in range(101)]
    execution = make_execution(organization, events=told)

    result, log = page_of(browser, execution), page_of(browser, execution, "/log")

    assert escape("step 100<") in result
    assert escape("step 0<") not in result
    assert "The newest 100 steps" in result
    assert "line 1000<" in log
    assert "line 0<" not in log
    lines = b"".join(browser.get(f"/executions/{execution.fid}/log.txt")).decode().splitlines()
    assert len(lines) == 1001
    assert lines[0].endswith("stdout line 0")


def test_long_words_break_on_the_page_of_the_log_but_not_in_the_download(
    organization: Organization, browser: Any
) -> None:
    word = "\u0628" * 500 + "a" + "\u0301" * 40
    execution = make_execution(organization, events=[event("stdout", word)])

    page = page_of(browser, execution, "/log")
    lines = b"".join(browser.get(f"/executions/{execution.fid}/log.txt")).decode()

    assert "\u0628" * 200 + "\u200b" in page
    assert "\u0301" * 31 not in page
    assert word in lines


def test_the_page_stays_readable_however_much_its_steps_say(
    organization: Organization, browser: Any
) -> None:
    heavy = json.dumps({"HTML": {"body": "<p>x" * 9_000}})
    long = json.dumps({"Text": {"body": "y" * 90_000}})
    newest = event("action", markdown("**the newest**"), 2.0)
    executions = [
        make_execution(organization, events=[*[event("action", each)] * 9, newest])
        for each in (heavy, long)
    ]

    of_heavy, of_long = [page_of(browser, execution) for execution in executions]

    for text in (of_heavy, of_long):
        assert escape("<strong>the newest</strong>") in text
        assert text.count(escape('<li class="run-step">')) == 12  # ten, the start and the end
    assert of_heavy.count(escape("<p>x")) == 2 * 9_000
    assert of_heavy.count(escape(TOO_COMPLEX)) == 7
    assert of_long.count("y" * 90_000) == 5
    assert of_long.count(escape(TOO_COMPLEX)) == 4


def test_steps_that_each_take_long_do_not_add_up(
    organization: Organization, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.executions.detail.PAGE_RENDER_SECONDS", 0.01)
    tiring = event("result", markdown("[" * 20_000))
    execution = make_execution(organization, events=[tiring] * 10)

    text = page_of(browser, execution)

    assert text.count(escape("<p>" + "[" * 20_000)) <= 1
    assert text.count("[" * 20_000) >= 9  # as written, but for the one whose time was over


def test_the_page_stays_readable_however_much_went_in(
    organization: Organization, browser: Any
) -> None:
    many = {f"name {number}": "" for number in range(5_000)}
    long = {f"name {number}": "x" * 30_000 for number in range(50)}
    executions = [
        make_execution(organization, events=[tagged("inputs", now(), **inputs)])
        for inputs in (many, long)
    ]

    of_many, of_long = [page_of(browser, execution) for execution in executions]

    assert of_many.count('<th scope="row">name ') == 200
    assert "and 4,800 more" in of_many
    assert of_long.count("x") < 250_000
    assert "and 40 more" in of_long


@pytest.mark.parametrize("path", ["", "/log", "/events"])
@pytest.mark.parametrize("role", [Membership.Role.OWNER, Membership.Role.VIEWER])
@pytest.mark.parametrize("kind", ["error", "result"])
def test_a_page_reads_no_more_of_large_messages_than_it_shows(
    organization: Organization, signed_in: Any, kind: str, role: str, path: str
) -> None:
    person = make_membership(organization, role)
    text = f"ValueError: x\n{'a ' * 140_000}\U0001f600"
    message = text if kind == "error" else json.dumps({"Text": {"body": text}})
    events = [event(kind, message) for _ in range(40)]
    execution = make_execution(organization, user=make_user_of(person), events=events)
    browser = signed_in(person)
    address = f"/executions/{execution.fid}{path}"
    browser.get(address)

    tracemalloc.start()
    answer = browser.get(address)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.status_code == 200
    assert peak < 24_000_000, "all of them take 45 million bytes"
