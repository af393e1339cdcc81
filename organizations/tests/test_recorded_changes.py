"""Callers cannot make the audit log, which nobody can shorten, grow without limit."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from core.errors import TooManyRequests
from core.throttling import Quota
from organizations.actors import Actor
from organizations.audit import recorded_changes
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event, verify_chain
from organizations.audit.recorded_changes import LIMITED, shortened
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

ENDS = [
    AuditAction.AGENT_SUSPENDED,
    AuditAction.AGENT_DECOMMISSIONED,
    AuditAction.CREDENTIAL_REVOKED,
    AuditAction.CREDENTIAL_OLD_SECRETS_ENDED,
    AuditAction.TOKEN_REVOKED,
    AuditAction.RESOURCE_DELETED,
    AuditAction.RESOURCE_AGENT_REMOVED,
    AuditAction.ORG_MEMBER_REMOVED,
    AuditAction.ORG_INVITATION_REVOKED,
    AuditAction.SESSION_STARTED,
    AuditAction.SESSION_ENDED,
    AuditAction.SESSION_PASSWORD_CHANGED,
    AuditAction.EXECUTION_STOPPED,
]


@pytest.fixture
def two_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = timedelta(hours=1)
    monkeypatch.setattr(recorded_changes, "OF_ACTOR", Quota(limit=2, window=hour))
    monkeypatch.setattr(recorded_changes, "OF_ORGANIZATION", Quota(limit=3, window=hour))


@pytest.mark.parametrize("action", sorted(LIMITED))
def test_changes_have_a_quota_and_the_end_of_a_right_has_none(
    organization: Organization, other_organization: Organization, two_changes: None, action: str
) -> None:
    ada, bob = (Actor.for_person(make_membership(organization)) for _ in range(2))
    elsewhere = Actor.for_person(make_membership(other_organization))
    with organization_scope(organization):
        for _ in range(2):
            record_event(AuditAction(action), organization, actor=ada)
        with pytest.raises(TooManyRequests) as refused, transaction.atomic():
            record_event(AuditAction(action), organization, actor=ada)
        record_event(AuditAction(action), organization, actor=bob)
        with pytest.raises(TooManyRequests), transaction.atomic():
            record_event(AuditAction(action), organization, actor=bob)
        for end in ENDS:
            record_event(end, organization, actor=ada)
        system = Actor.for_system(organization, "retention")
        record_event(AuditAction(action), organization, actor=system)
        assert AuditEvent.objects.count() == 3 + len(ENDS) + 1
        assert verify_chain(organization).is_intact
    with organization_scope(other_organization):
        record_event(AuditAction(action), other_organization, actor=elsewhere)
    assert refused.value.retry_after > 1


def test_a_refused_change_is_answered_with_429_and_undone(
    organization: Organization, client_for: Any, two_changes: None
) -> None:
    client = client_for(make_membership(organization))
    path = f"/api/v1/organizations/{organization.public_id}"

    answers = [
        client.patch(path, {"name": f"Name {number}"}, "application/json") for number in range(3)
    ]

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 1
    assert client.get(path).json()["name"] == "Name 1"


def test_long_values_are_recorded_by_their_beginning_and_digest(
    organization: Organization,
) -> None:
    scopes = [{"name": f"s{number}", "description": "\U00020000" * 200} for number in range(50)]
    written = json.dumps(scopes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with organization_scope(organization):
        event = record_event(
            AuditAction.RESOURCE_UPDATED,
            actor=Actor.for_person(make_membership(organization)),
            before={"name": "short", "scopes": []},
            after={"name": "also short", "scopes": scopes},
        )
        event.refresh_from_db()
        assert verify_chain(organization).is_intact

    assert event.metadata["before"] == {"name": "short", "scopes": []}
    assert event.metadata["after"]["name"] == "also short"
    shown = event.metadata["after"]["scopes"]
    assert shown.startswith(written[:100])
    assert hashlib.sha256(written.encode()).hexdigest() in shown


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x" * 100_000},
        {"a": {str(number): "x" * 2_000 for number in range(100)}},
        {"a": {"b": {"c": ["\U00020000" * 50_000]}}, "d": "x"},
    ],
)
def test_no_event_is_large(metadata: dict[str, Any]) -> None:
    assert len(json.dumps(shortened(metadata), ensure_ascii=False).encode()) < 9_000
    assert shortened(shortened(metadata)) == shortened(metadata)
