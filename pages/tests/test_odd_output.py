"""No value that an engine reports in a known layout takes a run's page or stream away."""

import json
import random
from typing import Any

import pytest
import structlog

from executions.event_log import NewEvent
from executions.models import ExecutionEvent
from executions.rendering import LAYOUTS
from executions.tests.factories import FINISHED, START, make_execution, make_user_of
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

Kind = ExecutionEvent.Kind
ODD: tuple[Any, ...] = (
    *(None, 5, 1.5, True, "x", [], {}, [1], ["a"], [{}], [[]], {"a": 1}, [{"raw": 5}]),
    *(float("nan"), 10**400, "\ud800", "\x1b[31m", {"body": 5}),
)
FIELDS = (
    *("agent", "alt", "body", "description", "name", "output", "raw", "result", "tasks_output"),
    *("text", "thought", "title", "token_usage", "tool", "tool_input", "url"),
)
STEPS = (Kind.ACTION, Kind.RESULT, Kind.AGENT, Kind.LOCK, Kind.LEASE, Kind.INPUTS, Kind.META)
LAYOUT_NAMES = [*LAYOUTS, "__list__", "dict", "agent", "task", "Other"]


def message(layout: str, value: Any) -> str:
    return json.dumps({layout: value})


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_odd_values_are_shown_everywhere(
    organization: Organization, signed_in: Any, layout: str
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    values = [*ODD, *[dict.fromkeys(FIELDS, value) for value in ODD]]
    values += [dict.fromkeys(("name", "data", "lid", "expires", "role"), value) for value in ODD]
    told = [message(layout, value) for value in values]
    steps = [NewEvent(START, STEPS[n % len(STEPS)], text) for n, text in enumerate(told * 2)]
    runs = [
        make_execution(
            organization,
            FINISHED,
            start=START,
            user=make_user_of(viewer),
            events=[*(steps if not n else ()), NewEvent(START + 1, Kind.FINAL, text)],
        )
        for n, text in enumerate(random.Random(layout).sample(told, 5))  # noqa: S311
    ]
    browser = signed_in(viewer)

    with structlog.testing.capture_logs() as logged:
        for run in runs:
            assert browser.get(f"/executions/{run.fid}").status_code == 200
            assert browser.get(f"/outputs/html/{run.fid}").status_code == 200
        for stream in ("main", "stdio"):
            answer = browser.get(f"/outputs/{stream}/{runs[0].fid}")
            assert b"event: eof" in b"".join(answer)

    assert [each for each in logged if each["log_level"] in {"error", "critical"}] == []
