"""The request that a list's page shows returns what the page shows."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from agents.tests.factories import make_agent
from conftest import ClientFor
from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import FAILED, FINISHED, make_execution, tagged
from organizations.actions import invite
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.api_calls import ApiCall
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential, make_resource

Read = Callable[[Any], Any]
ZONE = "Pacific/Kiritimati"
HOUR = timedelta(hours=1)
ACTIONS = (AuditAction.AGENT_CREATED, AuditAction.AGENT_UPDATED)


@dataclass(frozen=True)
class Case:
    """A page, what it shows, and what the response of its call number `call` has."""

    url: str
    shown: Read
    returned: Read
    call: int = 0
    is_ordered: bool = True


def runs(url: str, **more: Any) -> Case:
    return Case(
        f"/executions{url}",
        lambda context: [row["execution"].fid for row in context["rows"]],
        lambda body: [row["fid"] for row in body["agents"]],
        **more,
    )


def errors(url: str) -> Case:
    return Case(
        f"/executions/errors{url}",
        lambda context: [each["key"].split()[0] for each in context["errors"]],
        lambda body: [row["fid"] for row in body["errors"]],
    )


def groups(url: str) -> Case:
    return Case(
        f"/executions/errors{url}",
        lambda context: [each["group"].fingerprint for each in context["groups"]],
        lambda body: [row["fingerprint"] for row in body["groups"]],
    )


def timeline(url: str) -> Case:
    return Case(
        f"/executions/timeline{url}",
        lambda context: sum(point["count"] for point in context["chart"]["points"]),
        lambda body: len(body["executions"]),
    )


def statistics(url: str) -> Case:
    return Case(
        f"/executions/statistics{url}",
        lambda context: {row["label"]: row["count"] for row in context["pies"][0]["rows"]},
        lambda body: body["by_status"],
    )


def requests(url: str) -> Case:
    return Case(
        f"/tokens{url}",
        lambda context: [context["total"], counts(context["rankings"][0]["rows"])],
        lambda body: [body["total"], counts(body["agents"])],
    )


def counts(rows: Any) -> dict[str, int]:
    return {row["name"]: row["count"] for row in rows}


def agents(url: str, **more: Any) -> Case:
    return Case(
        f"/agents{url}",
        lambda context: [str(row["agent"].pk) for row in context["rows"]],
        lambda body: [row["agentId"] for row in body["data"]],
        **more,
    )


def audit(url: str) -> Case:
    return Case(
        f"/audit{url}",
        lambda context: [str(event.pk) for event in context["events"]],
        lambda body: [row["eventId"] for row in body["data"]],
    )


MEMBERS = Case(
    "/members",
    lambda context: [
        *(str(member.pk) for member, _ in context["people"]),
        *(str(each[0].pk) for each in context["agents"]),
    ],
    lambda body: [row["memberId"] for row in body["data"]],
    is_ordered=False,
)
INVITATIONS = Case(
    "/members",
    lambda context: [str(each.pk) for each, _ in context["invitations"]],
    lambda body: [row["invitationId"] for row in body["data"] if row["status"] == "open"],
    call=1,
    is_ordered=False,
)
RESOURCES = Case(
    "/resources",
    lambda context: [str(each.pk) for each in context["page"].object_list],
    lambda body: [row["resourceId"] for row in body["data"]],
    is_ordered=False,
)
DAYS = "from=2020-01-01T00:00&to=2099-01-01&tz=Asia/Kolkata"
CASES = [
    runs(""),
    runs("?status=error&not_name=screener-04&hours=168"),
    runs("?page=2&hours=168"),
    runs(f"?search=weekly&{DAYS}"),
    runs("?sort=agent", is_ordered=False),
    errors("?hours=168&group={fingerprint}&state=resolved"),
    groups("?hours=168"),
    groups("?hours=168&state=new&not_state=resolved"),
    timeline("?hours=168"),
    timeline(f"?status=error&{DAYS}"),
    statistics("?hours=168"),
    statistics("?name=crm-sync"),
    requests(""),
    requests("?days=30&outcome=refused&tz=Asia/Kolkata"),
    requests("?agent=crm-sync&not_reason=wrong_secret"),
    requests("?date={today}&tz={zone}"),
    requests("?from={today}T00:00&tz={zone}&credential={credential}"),
    agents("", is_ordered=False),
    agents("?sort=-registered"),
    agents("?sort=-registered&page=2"),
    agents("?sort=-registered&owner=PLATFORM+TEAM&type=screener&q=crm"),
    audit(""),
    audit("?page=2"),
    audit("?action=agent.updated&outcome=success&agent={agent}"),
    audit("?from={today}&to={today}&tz={zone}"),
    MEMBERS,
    INVITATIONS,
    RESOURCES,
]


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization)


@pytest.fixture
def filled(organization: Organization, owner: Membership) -> dict[str, Any]:
    """Rows for more than one page of each list; the ids that its cases name."""
    crm = make_agent(organization, email="crm-sync@example.com", owner="Platform Team")
    make_agent(organization, email="billing@example.com", owner="Platform Team")
    for _ in range(52):
        make_agent(organization)
    credential, _ = make_credential(crm)
    for number in range(53):
        state, name = (FAILED, "crm-sync") if number % 2 else (FINISHED, "screener-04")
        about = tagged("meta", now(), summary="Weekly report" if number % 3 else "Screening")
        event = NewEvent(now(), "error", f"ValueError: {'abcdefgh'[number % 8]}bove it.")
        make_execution(
            organization,
            state,
            agent_name=name,
            events=[about, *([event] if state is FAILED else [])],
        )
    actor = Actor.for_person(owner)
    with organization_scope(organization):
        for agent, outcome, reason in (
            (crm, "issued", ""),
            (crm, "refused", "wrong_secret"),
            (make_agent(organization), "issued", ""),
        ):
            for hours in (0, 26):
                TokenEvent.objects.create(
                    organization=organization,
                    agent=agent,
                    credential=credential if agent == crm else None,
                    outcome=outcome,
                    reason=reason,
                    created_at=timezone.now() - hours * HOUR,
                )
        for number in range(52):
            record_event(ACTIONS[number % 2], crm, actor=actor)
        invite(organization, actor=actor, email="guest@example.com", role="viewer")
    make_membership(organization, "viewer")
    for _ in range(2):
        make_resource(organization)
    return {
        "zone": ZONE,
        "agent": crm.pk,
        "credential": credential.pk,
        "today": timezone.now().astimezone(ZoneInfo(ZONE)).date().isoformat(),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.url} {case.call}")
def test_the_call_returns_what_the_page_shows(
    organization: Organization,
    owner: Membership,
    filled: dict[str, Any],
    signed_in: Callable[..., Client],
    client_for: ClientFor,
    case: Case,
) -> None:
    browser = signed_in(owner)
    if "{fingerprint}" in case.url:
        found = browser.get("/executions/errors?hours=168").context["groups"]
        filled["fingerprint"] = found[0]["group"].fingerprint

    page = browser.get(case.url.format(**filled))
    call: ApiCall = page.context["api_calls"][case.call]
    answer = client_for(owner).get(call.url)

    assert answer.status_code == 200, answer.content
    shown, returned = case.shown(page.context), case.returned(answer.json())
    assert shown
    if case.is_ordered:
        assert returned == shown
    else:
        assert set(shown) <= set(returned)


def test_the_page_shows_a_command_that_a_shell_reads(
    organization: Organization, owner: Membership, filled: dict[str, Any], signed_in: Any
) -> None:
    page = signed_in(owner).get("/executions?name=it's+%24HOME&not_status=error")

    (text,) = re.findall(r"<code>(curl .*?)</code>", page.content.decode())
    command = shlex.split(unescape(text))
    (call,) = page.context["api_calls"]
    assert command == [
        *("curl", "-s", "-H", "Authorization: Bearer $TOKEN"),
        settings.ISSUER + call.url,
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/executions?sort=agent", "The order and its pages"),
        ("/executions/timeline", "The bars"),
        ("/tokens", "The requests one by one"),
        ("/agents", "The order and its pages"),
        ("/audit?actor=ada", "The filter by actor"),
        ("/audit?action=agent", "The filter by a family of actions"),
        ("/members", "those whose status is not open"),
        ("/resources", "The order by name"),
    ],
)
def test_what_the_api_cannot_express_is_named(
    organization: Organization,
    owner: Membership,
    filled: dict[str, Any],
    signed_in: Any,
    url: str,
    words: str,
) -> None:
    assert words in signed_in(owner).get(url).content.decode()


def test_owners_that_differ_in_case_are_left_out(
    organization: Organization, owner: Membership, signed_in: Any
) -> None:
    for spelt in ("Ops", "OPS"):
        make_agent(organization, owner=spelt)

    (call,) = signed_in(owner).get("/agents?owner=ops").context["api_calls"]

    assert "owner" not in dict(call.query)
    assert any("letter by letter" in each for each in call.left_out)


def test_an_unknown_agent_has_no_call(
    organization: Organization, owner: Membership, signed_in: Any
) -> None:
    assert signed_in(owner).get(f"/tokens?agent={uuid4()}").context["api_calls"] == []


def test_only_administrators_get_the_calls_of_members(
    organization: Organization, owner: Membership, signed_in: Any
) -> None:
    viewer = signed_in(make_membership(organization, "viewer"))

    calls = signed_in(owner).get("/members").context["api_calls"]

    assert {call.scope for call in calls} == {Scope.ADMIN_ORGS}
    assert viewer.get("/members").context["api_calls"] == []
