"""Stopping and deleting an execution on its pages."""

from typing import Any

import pytest

from executions.models import DeletedExecution, Execution, now
from executions.tests.factories import (
    FAILED,
    RUNNING,
    make_execution,
    make_user_of,
    tagged,
)
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.templatetags.agentidp import shorten_id

Role = Membership.Role


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, Role.OPERATOR))


def page_of(browser: Any, execution: Execution, path: str = "") -> str:
    response = browser.get(f"/executions/{execution.fid}{path}")
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def test_stopping_cancels_and_is_audited(organization: Organization, browser: Any) -> None:
    execution = make_execution(organization, RUNNING, agent_name="Hymn Creator")
    assert "Stop this run?" in page_of(browser, execution)

    response = browser.post(f"/executions/{execution.fid}/stop", follow=True)

    assert "The run of Hymn Creator was stopped" in response.content.decode()
    assert "Delete this run?" in response.content.decode()
    with organization_scope(organization):
        assert Execution.objects.get(pk=execution.pk).status == "cancelled"
        assert AuditEvent.objects.filter(action="execution.stopped").count() == 1


def test_stopping_what_has_ended_says_so(organization: Organization, browser: Any) -> None:
    execution = make_execution(organization)

    response = browser.post(f"/executions/{execution.fid}/stop", follow=True)

    assert "finished already" in response.content.decode()


def test_deleting_leads_back_to_the_list(organization: Organization, browser: Any) -> None:
    execution = make_execution(organization)

    response = browser.post(f"/executions/{execution.fid}/delete")

    assert response["Location"] == "/executions"
    assert browser.get(f"/executions/{execution.fid}").status_code == 404
    with organization_scope(organization):
        assert DeletedExecution.objects.filter(fid=execution.fid).exists()


def test_a_viewer_is_offered_neither_and_sees_only_their_own(
    organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, Role.VIEWER)
    own = make_execution(organization, RUNNING, user=make_user_of(viewer))
    foreign = make_execution(organization, RUNNING)
    browser = signed_in(viewer)

    text = page_of(browser, own)

    assert "/stop" not in text
    assert "/delete" not in text
    for path in ("", "/log", "/log.txt", "/events", "/events.jsonl", "/files"):
        assert browser.get(f"/executions/{foreign.fid}{path}").status_code == 404


@pytest.mark.parametrize(("statuses", "action"), [(RUNNING, "stop"), (FAILED, "delete")])
def test_stopping_and_deleting_name_the_run_and_not_only_its_agent(
    organization: Organization, browser: Any, statuses: Any, action: str
) -> None:
    execution = make_execution(
        organization,
        statuses,
        agent_name="screener-04",
        events=[tagged("meta", now(), summary="Screen applications")],
    )

    text = browser.get(f"/executions/{execution.fid}/{action}").content.decode()

    assert "The run “Screen applications” of screener-04" in text
    assert f"Its id is {shorten_id(execution.fid)}; it was started at" in text
