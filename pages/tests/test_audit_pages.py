"""The audit log in the browser."""

import json
from typing import Any

import pytest

from agents.tests.factories import make_agent
from core.ids import uuid7
from organizations.actors import Actor
from organizations.audit.log import record_event
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


def record(owner: Membership, *actions: str) -> list[AuditEvent]:
    agent = make_agent(owner.organization, email="busy@agents.example.com")
    actor = Actor.for_person(owner, ip_address="192.0.2.7", user_agent="<b>curl</b>")
    with organization_scope(owner.organization):
        return [record_event(action, agent, actor=actor, note="<i>") for action in actions]


def forge_after(last: AuditEvent) -> None:
    """Insert an event whose hash does not match its content."""
    forged = AuditEvent.objects.get(pk=last.pk)
    forged.pk, forged.sequence = uuid7(), last.sequence + 1
    forged.previous_hash = last.hash
    forged.save(force_insert=True)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("action=agent", 2),
        ("action=agent.created", 1),
        ("action=agent.crea", 0),
        ("outcome=failure", 0),
        ("from=2999-01-01", 0),
        ("to=2000-01-01", 0),
        ("to=9999-12-31", 3),
        ("from=0001-01-01&to=9999-12-31&tz=Pacific/Kiritimati", 3),
        ("from=0001-01-01&to=9999-12-31&tz=Pacific/Midway", 3),
        ("actor=nobody", 0),
    ],
)
def test_a_filter_leaves_exactly_its_events(
    organization: Organization, signed_in: Any, query: str, count: int
) -> None:
    owner = make_membership(organization)
    record(owner, "agent.created", "agent.updated", "credential.rotated")

    response = signed_in(owner).get(f"/audit?{query}")

    assert len(response.context["page"].object_list) == count


def test_an_event_shows_everything_and_runs_nothing(
    organization: Organization, signed_in: Any
) -> None:
    owner = make_membership(organization)
    first, second = record(owner, "agent.created", "agent.updated")

    page = signed_in(owner).get(f"/audit/{first.pk}").content.decode()

    assert "192.0.2.7" in page
    assert bytes(first.hash).hex() in page
    assert f"/audit/{second.pk}" in page
    assert "<b>curl" not in page
    assert "<i>" not in page


def test_the_chain_is_verified_and_a_change_is_found(
    organization: Organization, signed_in: Any
) -> None:
    owner = make_membership(organization)
    *_, last = record(owner, "agent.created", "agent.updated")
    browser = signed_in(owner)

    whole = browser.post("/audit/verify", follow=True).content.decode()
    with organization_scope(organization):
        forge_after(last)
    broken = browser.post("/audit/verify", follow=True).content.decode()

    assert "The audit log is intact: 2 events" in whole
    assert "The audit log is broken at event 3" in broken


def test_the_export_is_the_whole_log_with_its_hashes(
    organization: Organization, signed_in: Any
) -> None:
    owner = make_membership(organization)
    first, *_ = record(owner, "agent.created", "agent.updated")

    response = signed_in(owner).get("/audit/export")

    lines = [json.loads(line) for line in b"".join(response).splitlines()]
    assert [line["action"] for line in lines][:2] == ["agent.created", "agent.updated"]
    assert lines[0]["hash"] == bytes(first.hash).hex()


def test_a_viewer_neither_reads_nor_checks_nor_exports(
    organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization, Membership.Role.VIEWER))

    assert browser.post("/audit/verify").status_code == 403
    assert browser.get("/audit/export").status_code == 403
    assert "Audit" not in browser.get("/agents").content.decode()
