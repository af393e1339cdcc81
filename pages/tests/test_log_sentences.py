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
OLD = {"before": "2020-03-03T00:00:00+00:00"}
MEMBER = {"member": "ada@example.com", "role": "operator"}


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


SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "agent.updated": (UPDATE, "changed the owner of crm-sync from platform to hiring."),
    "token.revoked": ({}, "revoked a token of crm-sync."),
    "token_events.expiry_started": (OLD, "began to delete token events from before 3 Mar 2020."),
    "token_events.expired": (OLD, "deleted token events from before 3 Mar 2020."),
    "auth.failed": (
        {"reason": "client_authentication", "notRecorded": 1200},
        "failed to authenticate: its secret or key was refused, after 1,200 more that are not "
        "listed.",
    ),
    "resource.created": ({}, "created the resource Mine."),
    "resource.updated": (UPDATE, "changed the owner of Mine from platform to hiring."),
    "resource.deleted": ({}, "deleted the resource Mine."),
    "resource.agent_allowed": (
        {"scopes": ["read", "write"]},
        "allowed crm-sync tokens for Mine with read, write.",
    ),
    "resource.agent_removed": ({}, "revoked the access of crm-sync to Mine."),
    "org.created": ({"owner": "ada@example.com"}, "created the organization."),
    "org.updated": (UPDATE, "changed the owner from platform to hiring."),
    "org.suspended": ({}, "suspended the organization."),
    "org.reactivated": ({}, "reactivated the organization."),
    "org.deleted": ({}, "deleted the organization."),
    "org.member_added": (MEMBER, "added ada@example.com as operator."),
    "org.member_role_changed": (
        {"member": "ada@example.com", "before": "viewer", "after": "admin"},
        "changed the role of ada@example.com from viewer to admin.",
    ),
    "org.member_removed": (MEMBER, "removed ada@example.com, who was operator."),
    "org.invitation_created": (
        {"email": "new@example.com", "role": "operator"},
        "invited new@example.com as operator.",
    ),
    "org.invitation_revoked": ({}, "withdrew the invitation of new@example.com."),
    "org.invitation_accepted": (MEMBER, "accepted an invitation and joined as operator."),
    "session.started": ({}, "signed in."),
    "session.ended": ({}, "signed out."),
    "session.password_changed": ({}, "changed their password."),
    "view.shared": ({"list": "executions"}, "shared the view “Mine” of runs."),
    "view.updated": (
        {"before": {"name": "Old"}, "after": {"name": "Mine"}},
        "renamed the shared view “Old” to “Mine”.",
    ),
    "view.unshared": ({"list": "errors"}, "stopped sharing the view “Mine” of errors."),
    "view.deleted": ({"list": "requests"}, "removed the shared view “Mine” of requests."),
    "audit.exported": ({}, "exported the audit log."),
    "signing_key.rotated": ({}, "rotated the signing key."),
    "person.deactivated": ({}, "deactivated the account of Mine."),
    "person.reactivated": ({}, "reactivated the account of Mine."),
    "person.address_changed": ({}, "changed the email address of Mine."),
    "person.password_reset": ({}, "reset the password of Mine."),
    "person.password_reset_offered": ({}, "made a link that resets the password of Mine."),
    "execution.stopped": ({}, "stopped the run Mine."),
    "execution.deleted": (
        {"reason": "deleted at the source"},
        "deleted the run Mine, which was deleted at the source.",
    ),
    "execution.expiry_started": (
        {"executions": 1200, "days": 90},
        "began to delete 1,200 runs older than 90 days.",
    ),
    "execution.expired": ({"executions": 1, "days": 90}, "deleted 1 run older than 90 days."),
    "execution.import_started": ({}, "began to import runs."),
    "execution.import_finished": ({}, "finished importing runs."),
    "error_group.resolved": ({"note": "Mended."}, "resolved a group of errors: Mended."),
    "error_group.reopened": ({}, "reopened a group of errors."),
    "admin.organization_chosen": ({}, "opened the organization in the administration."),
}
TARGETS = {
    "agent.updated": {"target_type": "agent", "target_label": "crm-sync@a.example"},
    "org.invitation_revoked": {"target_label": "invitation of new@example.com"},
}


def test_every_own_sentence_is_compared() -> None:
    assert set(SENTENCES) == {str(each) for each in OWN_TELLERS}


@pytest.mark.parametrize("action", SENTENCES)
def test_a_sentence_says_what_happened(
    organization: Organization, agent: Agent, action: str
) -> None:
    metadata, what = SENTENCES[action]
    target = TARGETS.get(action, {"target_label": "Mine"})

    assert told(organization, action=action, agent_id=agent.pk, metadata=metadata, **target) == what


@pytest.mark.parametrize(
    ("action", "metadata", "what"),
    [
        (
            "view.updated",
            {"list": "audit", "before": {"query": ""}, "after": {"query": "a"}},
            "changed the shared view “Mine” of audit events.",
        ),
        ("view.deleted", {}, "removed the shared view “Mine”."),
        ("auth.failed", {"reason": "of_tomorrow"}, "failed to authenticate: of tomorrow."),
        ("something.of_tomorrow", {}, "did something.of_tomorrow."),
    ],
)
def test_a_sentence_tells_what_the_metadata_have(
    organization: Organization, action: str, metadata: dict[str, Any], what: str
) -> None:
    assert told(organization, action=action, target_label="Mine", metadata=metadata) == what


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("client_authentication", "its secret or key was refused"),
        ("wrong_name_or_password", "wrong name or password"),
        ("organization_not_active", "the organization is not active"),
        ("no_active_organization", "no organization is active"),
        ("refresh_token_used_twice", "a refresh token was used twice"),
    ],
)
def test_a_failure_is_told_in_words(organization: Organization, reason: str, words: str) -> None:
    what = told(organization, action="auth.failed", metadata={"reason": reason})

    assert what == f"failed to authenticate: {words}."


def test_a_role_is_that_of_the_agent_or_of_nobody_known(
    organization: Organization, agent: Agent
) -> None:
    event = {"action": "org.member_removed", "metadata": {"role": "admin"}}

    assert told(organization, agent_id=agent.pk, **event) == "removed crm-sync, who was admin."
    assert told(organization, agent_id=uuid7(), **event) == "removed a member, who was admin."


def test_an_actor_without_a_name_is_somebody(organization: Organization) -> None:
    event = AuditEvent(actor_kind="person", actor_label="", action="session.started")

    with organization_scope(organization):
        assert log_sentences(organization, [event], timezone.now())[0].who == "Somebody"


def test_an_account_is_ones_own_or_another_ones(organization: Organization) -> None:
    person = uuid7()
    event = {"action": "person.password_reset", "target_label": "Ada", "target_id": str(person)}

    assert told(organization, actor_id=person, **event) == "reset their password."
    assert told(organization, actor_id=uuid7(), **event) == "reset the password of Ada."


def test_a_credential_is_told_with_its_agent(organization: Organization, agent: Agent) -> None:
    event = AuditEvent(
        action="credential.revoked",
        actor_label="retention",
        agent_id=agent.pk,
        target_type="credential",
        target_label="credential prod …c3d4",
    )

    with organization_scope(organization):
        (sentence,) = log_sentences(organization, [event], timezone.now())

    assert sentence.what == "revoked the credential prod …c3d4 of crm-sync."
    assert event.target_label == "credential prod …c3d4", "the log's own words"


def test_resolving_and_reopening_a_group_name_its_error_until_it_is_deleted(
    organization: Organization, browser: Client
) -> None:
    for number in (1, 2):
        error_event = NewEvent(now() + number, "error", f"disk {number} is full")
        make_execution(organization, FAILED, events=[error_event])
    with organization_scope(organization):
        error = ExecutionError.objects.latest("created_at")
        assert ExecutionError.objects.filter(fingerprint=error.fingerprint).count() == 2
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
