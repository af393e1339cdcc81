"""A look at a run beside the list: a fragment with what matters about it."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.event_log import NewEvent
from executions.models import Execution, now
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.models import Organization
from organizations.tests.factories import make_membership
from pages.executions.questions import MAX_QUESTIONS

AS_FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, "operator"))


def fragment(browser: Any, execution: Execution) -> str:
    response = browser.get(f"/executions/{execution.fid}/peek", headers=AS_FRAGMENT)
    assert response.status_code == 200
    text: str = response.content.decode()
    assert "<html" not in text
    return text


def test_it_says_what_a_run_did_and_with_which_result(
    organization: Organization, browser: Any
) -> None:
    started = now() - 60
    ada = make_outside_user(organization, "Ada <b>", uuid4())
    execution = make_execution(
        organization,
        start=started,
        agent_name="Hymn",
        user=ada,
        events=[
            tagged("meta", started, summary="Weekly report", tags=["q3"]),
            NewEvent(started + 2, "final", '{"Text": {"body": "Wool got dearer"}}'),
        ],
    )

    text = fragment(browser, execution)

    for word in ("Weekly report", "Hymn", "Ada &lt;b&gt;", "Wool got dearer", ">q3</a>"):
        assert word in text
    assert f'href="/executions/{execution.fid}"' in text


def test_it_says_why_a_run_failed_and_how_often_that_happened(
    organization: Organization, browser: Any
) -> None:
    first, second = (
        make_execution(
            organization,
            FAILED,
            start=now() - 60,
            events=[NewEvent(now() - 59, "error", "ValueError: quota exceeded")],
        )
        for _ in range(2)
    )

    text = fragment(browser, first)

    assert "quota exceeded" in text
    assert "Same error in 1 other run in 30 days" in text
    assert second.fid not in text


def test_a_running_one_says_that_it_works(organization: Organization, browser: Any) -> None:
    execution = make_execution(organization, RUNNING, start=now() - 60)

    text = fragment(browser, execution)

    assert "Working for" in text
    assert "No step reported yet" in text


def test_of_many_questions_some_are_shown_and_the_others_counted(
    organization: Organization, browser: Any
) -> None:
    text = fragment(browser, filled(organization, "awaiting", MAX_QUESTIONS + 2))

    assert text.count("Waiting for an answer") == MAX_QUESTIONS
    assert "And 2 more questions." in text


def test_without_a_script_it_leads_to_the_page_of_the_run(
    organization: Organization, browser: Any
) -> None:
    execution = make_execution(organization)

    response = browser.get(f"/executions/{execution.fid}/peek")

    assert response.headers["Location"] == f"/executions/{execution.fid}"


WAITING = (*RUNNING, ("awaiting", 1.0))
STATUSES = {"finished": FINISHED, "failed": FAILED, "running": RUNNING, "awaiting": WAITING}
STATEMENTS = {"finished": 8, "failed": 16, "running": 10, "awaiting": 9}


def filled(organization: Organization, status: str, number: int) -> Execution:
    """A run with so many steps, and errors or open questions."""
    start = now() - 60
    kinds = {
        "result": lambda each: f"Step {each}",
        "error": lambda each: f"ValueError: quota {each} exceeded" if status == "failed" else "",
        "lock": lambda each: json.dumps({"lid": f"lock-{each}"}) if status == "awaiting" else "",
    }
    events = [
        NewEvent(start + 1 + each / 100, kind, message(each))
        for each in range(number)
        for kind, message in kinds.items()
        if message(each)
    ]
    final = NewEvent(start + 1.9, "final", '{"Text": {"body": "Wool got dearer"}}')
    return make_execution(
        organization, STATUSES[status], start=start, events=[*events, final], agent_name=status
    )


@pytest.mark.parametrize("status", STATEMENTS)
def test_a_look_takes_few_statements_however_much_there_is(
    organization: Organization, browser: Any, status: str
) -> None:
    executions = [filled(organization, status, 1), filled(organization, status, 40)]
    fragment(browser, executions[0])

    counts = []
    for execution in executions:
        with CaptureQueriesContext(connection) as captured:
            fragment(browser, execution)
        counts.append(len(captured))

    assert counts == [STATEMENTS[status]] * 2


def test_before_the_first_run_there_is_nothing_to_look_at(browser: Any) -> None:
    page = browser.get("/executions").content.decode()

    assert 'id="peek"' not in page
    assert "js/peek" not in page


def test_others_runs_are_not_shown(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, "viewer")
    own = make_execution(organization, user=make_user_of(viewer))
    hidden = [make_execution(organization), make_execution(other_organization)]
    browser = signed_in(viewer)

    answers = [
        browser.get(f"/executions/{each.fid}/peek", headers=AS_FRAGMENT).status_code
        for each in (own, *hidden)
    ]

    assert answers == [200, 404, 404]
