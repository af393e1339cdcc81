"""The audit log tells every event in a sentence that names its subject."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from core.ids import uuid7
from executions.event_log import NewEvent
from executions.models import ExecutionError, now
from executions.tests.factories import FAILED, make_execution
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from pages.audit.log_sentences import OWN_TELLERS, log_sentences
from pages.audit.sentences import CHANGES

UPDATE = {"before": {"owner": "platform"}, "after": {"owner": "hiring"}}


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, email="crm-sync@agents.example")


@pytest.fixture
def browser(organization: Organization, signed_in: Callable[..., Client]) -> Client:
    person = make_membership(organization, "admin", make_user(name="Ada Winter"))
    return signed_in(person)


def told(organization: Organization, **fields: Any) -> str:
    event = AuditEvent(actor_kind="system", actor_label="retention", **fields)
    with organization_scope(organization):
        (sentence,) = log_sentences(organization, [event], timezone.now())
    return sentence.what


def test_every_action_has_a_sentence() -> None:
    assert {str(each) for each in AuditAction} == {*map(str, OWN_TELLERS), *map(str, CHANGES)}


@pytest.mark.parametrize("action", sorted(AuditAction))
def test_an_event_without_its_metadata_is_still_a_sentence(
    organization: Organization, action: str
) -> None:
    what = told(organization, action=action, target_label="something", metadata={})

    assert what.endswith(".")
    assert not what.endswith("..")
    assert "None" not in what
    assert "  " not in what


@pytest.mark.parametrize(
    ("action", "fields", "what"),
    [
        (
            "agent.updated",
            {"metadata": UPDATE, "target_type": "agent", "target_label": "crm-sync@a.example"},
            "changed the owner of crm-sync from platform to hiring.",
        ),
        ("org.updated", {"metadata": UPDATE}, "changed the owner from platform to hiring."),
        ("view.shared", {"metadata": {"list": "executions"}}, "shared the view “Mine” of runs."),
        (
            "view.updated",
            {"metadata": {"before": {"name": "Old"}, "after": {"name": "Mine"}}},
            "renamed the shared view “Old” to “Mine”.",
        ),
        (
            "view.updated",
            {"metadata": {"list": "audit", "before": {"query": ""}, "after": {"query": "a"}}},
            "changed the shared view “Mine” of audit events.",
        ),
        (
            "view.unshared",
            {"metadata": {"list": "errors"}},
            "stopped sharing the view “Mine” of errors.",
        ),
        ("view.deleted", {}, "removed the shared view “Mine”."),
        (
            "auth.failed",
            {"metadata": {"reason": "client_authentication", "notRecorded": 1200}},
            "failed to authenticate: its secret or key was refused, after 1,200 more that are not "
            "listed.",
        ),
        (
            "org.invitation_created",
            {"metadata": {"email": "new@example.com", "role": "operator"}},
            "invited new@example.com as operator.",
        ),
        (
            "execution.expired",
            {"metadata": {"executions": 1, "days": 90}},
            "deleted 1 run older than 90 days.",
        ),
        ("error_group.reopened", {}, "reopened a group of errors."),
        ("something.of_tomorrow", {}, "did something.of_tomorrow."),
    ],
)
def test_a_sentence_says_what_happened(
    organization: Organization, action: str, fields: dict[str, Any], what: str
) -> None:
    given = {"target_label": "Mine", "metadata": {}} | fields

    assert told(organization, action=action, **given) == what


def test_an_account_is_ones_own_or_another_ones(organization: Organization) -> None:
    person = uuid7()
    event = {"action": "person.password_reset", "target_label": "Ada", "target_id": str(person)}

    assert told(organization, actor_id=person, **event) == "reset their password."
    assert told(organization, actor_id=uuid7(), **event) == "reset the password of Ada."


def test_a_credential_is_told_with_its_agent(organization: Organization, agent: Agent) -> None:
    what = told(
        organization,
        action="credential.revoked",
        agent_id=agent.pk,
        target_type="credential",
        target_label="credential prod …c3d4",
    )

    assert what == "revoked the credential prod …c3d4 of crm-sync."


def test_resolving_and_reopening_a_group_name_its_error_until_it_is_deleted(
    organization: Organization, browser: Client
) -> None:
    make_execution(organization, FAILED, events=[NewEvent(now(), "error", "disk is full")])
    with organization_scope(organization):
        error = ExecutionError.objects.get()
    address = f"/executions/errors/{error.fingerprint}"

    browser.post(f"{address}/resolve", {"note": "A bigger disk."})
    browser.post(f"{address}/reopen")
    page = browser.get("/audit?action=error_group")
    with organization_scope(organization):
        ExecutionError.objects.all().delete()
    later = browser.get("/audit?action=error_group")

    assert [f"{each.who} {each.what}" for each in page.context["sentences"]] == [
        f"Ada Winter reopened “{error.message}”.",
        f"Ada Winter resolved “{error.message}”: A bigger disk.",
    ]
    text = page.content.decode()
    assert "Ada Winter reopened" in text
    event = page.context["sentences"][0].event
    assert "Ada Winter reopened" in browser.get(f"/audit/{event.pk}").content.decode()
    assert later.context["sentences"][1].what == "resolved a group of errors: A bigger disk."


def test_more_events_cost_no_more_queries(organization: Organization) -> None:
    def queries(number: int) -> int:
        events = [
            AuditEvent(
                action=action, actor_kind="person", actor_id=uuid7(), target_label=str(index)
            )
            for index in range(number)
            for action in ("error_group.resolved", "credential.revoked")
        ]
        for each in events:
            each.agent_id = uuid7()
        with organization_scope(organization), CaptureQueriesContext(connection) as context:
            log_sentences(organization, events, timezone.now())
        return len(context)

    assert queries(20) == queries(1) == 3
