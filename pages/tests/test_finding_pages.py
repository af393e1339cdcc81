"""A finding on the overview leads to its requests, and to what may be done about it."""

from html import escape
from typing import Any

from agents.models import Agent
from analytics.findings.finding import Finding
from analytics.records import findings_of
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.findings.links import snooze_url
from pages.tests.token_requests import NOW, shown
from tokens.models import Credential


def labels_of(answer: Any) -> list[str]:
    """What the finding on the page offers."""
    return [action["label"] for action in answer.context["finding"]["actions"]]


def test_a_finding_lands_on_its_requests_with_its_sentence_and_its_actions(
    organization: Organization, signed_in: Any, spike: tuple[Agent, Credential]
) -> None:
    agent, credential = spike
    (finding,) = (each for each in findings(organization) if each.code == "token_spike")

    owner = signed_in(make_membership(organization)).get(f"{finding.link}&tz=UTC")
    viewer = signed_in(make_membership(organization, role="viewer")).get(f"{finding.link}&tz=UTC")
    without = signed_in(make_membership(organization)).get(owner.context["filters"].clear_url)

    page, seen = owner.content.decode(), viewer.content.decode()
    assert shown(owner) == shown(viewer) == 120
    assert escape(finding.text) in page
    assert escape(finding.text) in seen
    assert "agent is <strong>screener-04</strong>" in page
    offered = owner.context["finding"]["actions"]
    path = f"/agents/{agent.pk}/credentials/{credential.pk}"
    assert {action["label"].split()[0]: action["url"] for action in offered} == {
        "Rotate": f"{path}/rotate",
        "Revoke": f"{path}/revoke",
        "Suspend": f"/agents/{agent.pk}/suspend",
        "Snooze": snooze_url(finding),
        "Open": f"/agents/{agent.pk}",
    }
    assert labels_of(viewer) == ["Open screener-04"]
    assert without.context["finding"] is None


def test_an_action_that_would_change_nothing_is_not_offered(
    organization: Organization, signed_in: Any, spike: tuple[Agent, Credential]
) -> None:
    agent, credential = spike
    (finding,) = (each for each in findings(organization) if each.code == "token_spike")
    with organization_scope(organization):
        Credential.objects.filter(pk=credential.pk).update(status="revoked", revoked_at=NOW)
        Agent.objects.filter(pk=agent.pk).update(status="suspended")

    answer = signed_in(make_membership(organization)).get(f"{finding.link}&tz=UTC")

    assert labels_of(answer) == ["Snooze", "Open screener-04"]


def findings(organization: Organization) -> tuple[Finding, ...]:
    with organization_scope(organization):
        return findings_of(organization)
