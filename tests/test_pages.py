"""How every page looks and reads. test_page_proofs.py covers access."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.models import FindingSnooze
from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import FAILED, make_execution, make_file, make_outside_user
from organizations.actions import invite
from organizations.actors import Actor
from organizations.audit.log import record_event
from organizations.models import Organization, SavedView
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential, make_grant, make_resource

PAGES = {
    "overview": ("overview", []),
    "agents": ("agents:list", []),
    "agent": ("agents:detail", ["agent"]),
    "new agent": ("agents:new", []),
    "edit agent": ("agents:edit", ["agent"]),
    "new credential": ("tokens:new_credential", ["agent"]),
    "rotate credential": ("tokens:rotate_credential", ["agent", "credential"]),
    "tokens": ("tokens:list", []),
    "resources": ("tokens:resources", []),
    "resource": ("tokens:resource", ["resource"]),
    "new resource": ("tokens:new_resource", []),
    "edit resource": ("tokens:edit_resource", ["resource"]),
    "audit": ("organizations:audit", []),
    "audit event": ("organizations:audit_event", ["event"]),
    "members": ("organizations:members", []),
    "settings": ("organizations:settings", []),
    "executions": ("executions:list", []),
    "errors": ("executions:errors", []),
    "timeline": ("executions:timeline", []),
    "statistics": ("executions:statistics", []),
    "execution": ("executions:detail", ["execution"]),
    "log": ("executions:log", ["execution"]),
    "events": ("executions:events", ["execution"]),
    "view": ("views:edit", ["view"]),
    "snoozed findings": ("findings:snoozed", []),
    "api": ("docs", []),
}
STATEMENTS = dict.fromkeys(PAGES, 31) | {"overview": 33, "agent": 36}
"""At most so many statements of each page, those for the session and the frame included."""
ANY_PAGE = pytest.mark.parametrize("page", PAGES)


def fill(organization: Organization, agents: int = 1) -> dict[str, Any]:
    """Create content for every page; return the ids for its URLs."""
    owner = make_membership(organization)
    actor = Actor.for_person(owner)
    resource = make_resource(organization)
    for _ in range(agents):
        agent = make_agent(organization)
        make_grant(resource, agent)
        make_grant(make_resource(organization), agent)
        credential, _ = make_credential(agent, last_used_at=timezone.now())
        with organization_scope(organization):
            event = record_event("agent.created", agent, actor=actor)
            FindingSnooze.objects.create(
                organization=organization,
                kind="credential_unused",
                agent=agent,
                credential=credential,
                severity="warn",
                message="It has never used a credential.",
                reason="Made ahead.",
                until=timezone.now() + timedelta(days=7),
                snoozed_by=owner.user,
            )
            TokenEvent.objects.create(
                organization=organization, agent=agent, credential=credential, outcome="issued"
            )
    with organization_scope(organization):
        for number in range(agents):
            invite(organization, actor=actor, email=f"guest-{number}@example.com", role="viewer")
        view = SavedView.objects.create(
            organization=organization, list="executions", name="Failed", query="status=error"
        )
    return {
        "view": view.pk,
        "agent": agent.pk,
        "credential": credential.pk,
        "resource": resource.pk,
        "event": event.pk,
        "owner": owner,
        "execution": run(organization, agents, agent),
    }


def run(organization: Organization, number: int, agent: Agent) -> str:
    """Create that many failed executions of as many people; return the id of one with as many
    events.
    """
    for each in range(number):
        person = make_outside_user(organization, f"Person {each}", uuid4())
        kinds = ("stdout", "error", "result", "action", "lock", "inputs", "final")
        reported = [
            NewEvent(now(), kind, f'{{"str": "{each}"}}') for kind in kinds for _ in range(number)
        ]
        execution = make_execution(
            organization,
            FAILED,
            user=person,
            agent=agent,
            agent_name=f"Agent {each}",
            events=reported,
            cost=each,
        )
        make_file(execution, "in", f"{each}.txt")
    return execution.fid


def address(page: str, ids: dict[str, Any]) -> str:
    name, arguments = PAGES[page]
    return reverse(name, args=[ids[argument] for argument in arguments])


@ANY_PAGE
def test_the_page_has_a_title_one_heading_and_nothing_inline(
    organization: Organization, signed_in: Any, page: str
) -> None:
    ids = fill(organization)

    response = signed_in(ids["owner"]).get(address(page, ids))

    text = response.content.decode()
    assert response.status_code == 200
    assert len(re.findall(r"<h1[ >]", text)) == 1
    for rows in re.findall(r"<tbody.*?</tbody>", text, re.DOTALL):
        assert not re.search(r"<t([dh])\b[^>]*>\s*</t\1>", rows)
    assert re.search(r"<title>\S.* · AgentIdP</title>", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    scripts = re.findall(r"<script(?![^>]*(?:\ssrc=|application/json))", text)
    assert scripts == []
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "no-store" or "no-cache" in response["Cache-Control"]


@ANY_PAGE
def test_the_page_never_fails_on_a_strange_address(
    organization: Organization, signed_in: Any, page: str
) -> None:
    ids = fill(organization)
    browser = signed_in(ids["owner"])
    names = "page sort q tz date days dow hour outcome reason agent credential type status owner"
    names += " hours search name agent_name user seen group groups kind"
    values = ["-1", "0", "999999999999999999999", "abc", "", "é", "%ED%A0%80", "[]", "0001-01-01"]
    values += ["9999-12-31", "' OR 1=1", "<b>", "x" * 250]

    for value in values:
        query = "&".join(f"{name}={value}" for name in [*names.split(), "range", "from", "to"])
        response = browser.get(f"{address(page, ids)}?{query}")

        assert response.status_code in {200, 400}, value
        assert b"<b>" not in response.content


@ANY_PAGE
def test_the_page_takes_as_many_queries_for_many_rows_as_for_one(
    organization: Organization,
    other_organization: Organization,
    signed_in: Any,
    page: str,
) -> None:
    few, many = fill(organization, agents=1), fill(other_organization, agents=8)
    first, second = signed_in(few["owner"]), signed_in(many["owner"])

    with CaptureQueriesContext(connection) as one:
        first.get(address(page, few))
    with CaptureQueriesContext(connection) as several:
        second.get(address(page, many))

    assert len(several) == len(one)
    assert len(several) <= STATEMENTS[page]
