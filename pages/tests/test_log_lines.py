"""A log's lines are the same on its page and in the stream that continues it."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection

from executions.event_log import NewEvent, append_events
from executions.log_lines import MAX_LINE_LENGTH
from executions.models import ExecutionEvent, now
from executions.tests.factories import RUNNING, make_execution, make_user_of
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.executions.log_lines import CUT_LENGTH, MAX_BYTES, MAX_LINES

Kind = ExecutionEvent.Kind
TRACE = "Traceback (most recent call last):\n"
FRAME = '  File "/opt/secret/flow.py", line 3, in run\n    secret()\n'
CASES = [
    (Kind.STDOUT, "Hello", "Hello"),
    (Kind.STDOUT, "<b>bold</b> &amp; 1 < 2", "<b>bold</b> &amp; 1 < 2"),
    (Kind.STDOUT, "\x1b[31mred\x1b[0m", "red"),
    (Kind.STDOUT, "10 %\r50 %\r100 %", "100 %"),
    (Kind.STDERR, "|\b/\b-", "-"),
    (Kind.STDOUT, "two\nlines", "two\nlines"),
    (Kind.STDOUT, "\x07bell", "\N{REPLACEMENT CHARACTER}bell"),
    (Kind.STDOUT, "\x1b]0;title\x07after", "after"),
    (Kind.STDOUT, "x" * MAX_LINE_LENGTH, "x" * MAX_LINE_LENGTH),
    (Kind.STDOUT, "x" * (MAX_LINE_LENGTH + 1), "x" * MAX_LINE_LENGTH + " …"),
    (Kind.STDOUT, "10 %\r" * 2_000 + "end", "10 % …"),
    (Kind.DEBUG, "a\rb", "a\nb"),
    (Kind.DEBUG, '{"a": "\x1b[1m"}', '{"a": ""}'),
    (Kind.UPLOAD, "report.pdf", "report.pdf"),
    (Kind.ERROR, TRACE + FRAME + "ValueError: The sheet is empty", None),
    (Kind.ERROR, TRACE + FRAME * 100 + "ValueError: The sheet is empty", None),
]
"""Kind, message and expected line; None where it is the error's readable message."""
MESSAGE = "The sheet is empty"


@pytest.mark.parametrize("role", [Membership.Role.OPERATOR, Membership.Role.VIEWER])
def test_a_line_is_the_same_on_the_page_and_in_the_stream(
    organization: Organization, signed_in: Any, role: Membership.Role
) -> None:
    events = [NewEvent(now() - 60, kind, written) for kind, written, _ in CASES]
    membership = make_membership(organization, role)
    execution = make_execution(organization, RUNNING, events=events, user=make_user_of(membership))
    browser = signed_in(membership)

    page = browser.get(f"/executions/{execution.fid}/log").content.decode()
    shown = [unescape(text) for text in re.findall(r'class="log-text">(.*?)</span>', page, re.S)]
    streamed = []
    answer = browser.get(f"/outputs/stdio/{execution.fid}?plain=1")
    for event in b"".join(answer).decode().split("\r\n\r\n"):
        data = re.findall(r"^data: (.*?)\r?$", event, re.M)
        if data and "event: close" not in event:
            streamed.append("\n".join(data).partition(":")[2])

    assert len(shown) == len(CASES)
    assert streamed == shown
    sees_traces = role == Membership.Role.OPERATOR
    for (_, _, line), text in zip(CASES, shown, strict=True):
        assert text == line or (line is None and MESSAGE in text) or sees_traces
        assert sees_traces or "secret" not in text


def test_a_line_that_comes_while_the_page_is_made_is_left_to_the_stream(
    organization: Organization, signed_in: Any
) -> None:
    events = [NewEvent(now(), Kind.STDOUT, "first")]
    membership = make_membership(organization, Membership.Role.OPERATOR)
    execution = make_execution(organization, RUNNING, events=events)
    came: list[str] = []

    def report_first(execute: Any, sql: str, *rest: Any) -> Any:
        if "executions_executionevent" in sql and not came:
            came.append(sql)
            append_events(execution, [NewEvent(now(), Kind.STDOUT, "second")])
        return execute(sql, *rest)

    with connection.execute_wrapper(report_first):
        page = signed_in(membership).get(f"/executions/{execution.fid}/log").content.decode()

    assert came
    known = re.findall(r'data-known="(\d+)"', page)
    assert re.findall(r'class="log-text">(.*?)</span>', page) == ["first"]
    streamed = signed_in(membership).get(f"/outputs/stdio/{execution.fid}?plain=1&since={known[0]}")
    assert re.findall(r"event: stdout\r\ndata: [\d.]+:(\w+)", b"".join(streamed).decode()) == [
        "second"
    ]


def test_a_log_of_quotes_is_no_larger_than_other_logs(
    organization: Organization, signed_in: Any
) -> None:
    """Each takes six bytes as HTML: a thousand lines took 24 MB."""
    events = [NewEvent(now(), Kind.STDERR, "'" * MAX_LINE_LENGTH)] * MAX_LINES
    execution = make_execution(organization, RUNNING, events=events)
    browser = signed_in(make_membership(organization, Membership.Role.OPERATOR))

    page = browser.get(f"/executions/{execution.fid}/log").content

    assert page.count(b'class="log-text"') == MAX_LINES
    assert len(page) < MAX_BYTES
    assert f"{'&#x27;' * CUT_LENGTH} …<".encode() in page
