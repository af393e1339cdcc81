"""An agent's page says in one sentence how it does, offers one action, and shows each credential's
use.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics import agent_usage
from executions.models import now
from executions.tests.factories import FAILED, make_execution, tagged
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.agents.credential_advice import advice
from pages.agents.credential_usage import CredentialUsage
from pages.tests.agent_states import (
    DAY,
    HOUR,
    a_secret_from_before_hints,
    a_wrong_one,
    abandoned,
    ask,
    decommissioned,
    expired,
    expiring,
    finished_rotation,
    never_used,
    one_secret,
    page_of,
    quiet,
    refusals,
    running_rotation,
    spike,
    suspended,
    two_secrets,
    two_secrets_and_a_wrong_one,
    unused,
    verdict_of,
    without_dialogs,
    words,
    wrong_ones,
)
from tokens.models import Credential
from tokens.tests.factories import make_credential


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


@pytest.mark.parametrize(
    ("prepare", "sentence", "action"),
    [
        (None, "No credential yet. It cannot get a token until you create one.", "New credential"),
        (unused, "It has not obtained a token yet.", ""),
        (quiet, "No request in the last 24 hours; its last token was on", ""),
        (
            one_secret,
            "…one1 carried all 3 requests of the last 24 hours, 1 of them refused.",
            "",
        ),
        (
            two_secrets,
            "prod …two2 carried 4 of the 7 requests of the last 24 hours, 1 of them refused; "
            "another secret carried the rest.",
            "",
        ),
        (
            two_secrets_and_a_wrong_one,
            "prod …two2 carried 4 of the 8 requests of the last 24 hours, 2 of them refused; "
            "another secret carried 3, and 1 came with no secret of this agent.",
            "",
        ),
        (
            a_secret_from_before_hints,
            "An earlier secret of prod carried the only request of the last 24 hours.",
            "",
        ),
        (
            a_wrong_one,
            "The only request of the last 24 hours came with no secret of this agent and was "
            "refused.",
            "",
        ),
        (
            wrong_ones,
            "None of the 2 requests of the last 24 hours came with a secret of this agent, "
            "all of them refused.",
            "",
        ),
        (
            finished_rotation,
            "The rotation is done. The old secret …old1 of prod, k8s has not been used since",
            "End the old one now",
        ),
        (running_rotation, "of the 2 requests of the last 24 hours", ""),
        (spike, "asked for 300 tokens on", "See the requests"),
        (refusals, "was refused 40 times in the last 7 days", "See the requests"),
        (expiring, "uses credential …exp1, which expires in 5 days", "Rotate …exp1"),
        (expired, "2 requests refused.", "New credential"),
        (abandoned, "carried all 3 requests of the last 24 hours", ""),
        (suspended, "Suspended. It gets no tokens, and those it had no longer work.", "Reactivate"),
        (decommissioned, "Decommissioned. It no longer gets tokens.", ""),
    ],
)
def test_the_page_begins_with_one_sentence_and_at_most_one_action(
    organization: Organization,
    signed_in: Any,
    prepare: Callable[[Agent], None] | None,
    sentence: str,
    action: str,
) -> None:
    browser = signed_in(make_membership(organization))
    viewer = signed_in(make_membership(organization, Membership.Role.VIEWER))
    agent = make_agent(organization)
    if prepare:
        prepare(agent)

    page = page_of(browser, agent)

    verdict = verdict_of(page)
    assert sentence in words(verdict)
    buttons = re.findall(r'class="button button-primary[^>]*>([^<]+)', without_dialogs(page))
    assert set(buttons) == ({action} if action else set())
    of_viewer = verdict_of(page_of(viewer, agent))
    assert sentence in words(of_viewer)
    assert ("button" in of_viewer) == (action == "See the requests")


@pytest.mark.parametrize(
    ("prepare", "sentence", "noteworthy", "endings"),
    [
        (finished_rotation, "Safe to end. …new1 has obtained 2 tokens since the rotation", 1, 1),
        (running_rotation, "Keep both for now. The old secret …old1 is still in use", 1, 1),
        (expiring, "It obtained 1 token in 30 days. The new secret would work until", 1, 0),
        (abandoned, "Safe to revoke. Unused for 61 days, and no live token depends on it.", 1, 0),
        (
            never_used,
            "Safe to revoke. It has not obtained a token since it was created 9 days ago.",
            1,
            0,
        ),
        (one_secret, "", 0, 0),
        (unused, "", 0, 0),
    ],
)
def test_a_credential_says_what_may_be_done_about_it_and_why_and_else_is_one_line(
    organization: Organization,
    browser: Client,
    prepare: Callable[[Agent], None],
    sentence: str,
    noteworthy: int,
    endings: int,
) -> None:
    agent = make_agent(organization)
    prepare(agent)

    page = page_of(browser, agent)

    assert page.count('class="card credential"') == noteworthy
    assert page.count("credential-advice") == noteworthy
    assert sentence in words(page)
    assert page.count('data-dialog="end-old-') == endings


def test_a_credential_expires_in_as_many_days_as_the_finding_says(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization)
    expiring(agent)

    page = words(page_of(browser, agent))

    assert "which expires in 5 days" in page
    assert re.search(r"Expires \d+ \w+( \d{4})?, in 5 days", page)


def test_each_of_several_rotations_can_be_ended(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization)
    finished_rotation(agent)
    running_rotation(agent)

    page = page_of(browser, agent)

    assert "The rotation is done." in words(verdict_of(page))
    asked = re.findall(r'data-dialog="(end-old-[^"]+)"', page)
    assert len(asked) == len(set(asked)) == 2
    assert all(page.count(f'id="{key}"') == 1 for key in asked)


def test_an_ended_credential_in_use_is_told_beside_a_worse_finding(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization)
    spike(agent)
    expired(agent)

    page = page_of(browser, agent)

    assert "asked for 300 tokens on" in words(verdict_of(page))
    (finding,) = re.findall(r'aria-label="Findings".*?</section>', page, re.DOTALL)
    assert "which expired on" in words(finding)
    assert re.findall(r'href="(/[a-z]+/[a-z]+)', finding) == ["/findings/snooze"]


def test_a_rotation_by_a_clock_that_is_ahead_is_shown(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent, rotated_at=timezone.now() + DAY)
    ask(credential, [HOUR])

    assert "1 token in 30 days" in words(page_of(browser, agent))


def test_an_end_is_a_day_of_the_viewer(organization: Organization) -> None:
    current = datetime(2026, 12, 1, 12, tzinfo=UTC)
    credential = Credential(
        agent=make_agent(organization),
        created_at=datetime(2026, 11, 1, 23, 30, tzinfo=UTC),
        expires_at=datetime(2026, 12, 2, 23, 30, tzinfo=UTC),
        last_used_at=current,
    )
    credential.was_usable = True

    with timezone.override(ZoneInfo("Pacific/Auckland")):
        early = advice(credential, CredentialUsage(), [], current)
    with timezone.override(UTC):
        late = advice(credential, CredentialUsage(), [], current + 12 * HOUR)

    assert early
    assert early.lead == "Rotate before 3 Dec, 12:30."
    assert early.reason.endswith("would work until 2 Jan 2027.")
    assert late
    assert late.reason.endswith("would work until 2 Jan 2027.")


def test_what_was_not_looked_at_is_not_counted(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_usage, "NEWEST", 6)
    agent = make_agent(organization)
    credential, _ = make_credential(agent, secret="sk_live_one1", last_used_at=timezone.now())
    ask(credential, [HOUR, HOUR, 5 * HOUR, 5 * HOUR], secret_hint="one1")
    ask(credential, [2 * HOUR] * 4, outcome="introspected")

    assert words(verdict_of(page_of(browser, agent))) == (
        "…one1 carried all of the newest 2 requests."
    )

    ask(credential, [HOUR / 2] * 6, outcome="introspected")
    assert "for a token; its last token was at" in words(verdict_of(page_of(browser, agent)))


def test_old_and_new_secret_are_apart_by_day(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization)
    finished_rotation(agent)

    page = page_of(browser, agent)

    titles = re.findall(r"<title>([^<]+: \d+ tokens?[^<]*)</title>", page)
    assert sum(int(re.findall(r": (\d+) token", title)[0]) for title in titles) == 3
    assert sum(int(found) for title in titles for found in re.findall(r", (\d+) with", title)) == 2
    assert page.count('class="day-old" fill') == 2  # a bar and its key
    assert len(re.findall(r'class="day-bar[ "]', page)) >= 2


def test_a_scope_that_no_token_had_says_so(organization: Organization, browser: Client) -> None:
    agent = make_agent(
        organization,
        scopes=["agents:read", "tokens:read"],
        created_at=timezone.now() - 2 * DAY,
    )
    assert "never requested" not in page_of(browser, agent)
    credential, _ = make_credential(agent, last_used_at=timezone.now())
    ask(credential, [timedelta(minutes=3)], scope="agents:read")

    text = words(page_of(browser, agent))

    assert "agents:read · last granted 3 min ago" in text
    assert "tokens:read · never requested, can be removed" in text


@pytest.mark.parametrize(
    ("registered", "added", "text"),
    [
        (HOUR, None, ""),
        (40 * DAY, None, " · not requested in 30 days, can be removed"),
        (40 * DAY, timedelta(minutes=5), ""),
        (40 * DAY, 3 * DAY, " · not requested since it was added on"),
        (5 * DAY, 3 * DAY, " · not requested since it was added on"),
    ],
)
def test_a_scope_is_superfluous_only_after_it_was_held_for_a_while(
    organization: Organization,
    browser: Client,
    registered: timedelta,
    added: timedelta | None,
    text: str,
) -> None:
    current = timezone.now()
    agent = make_agent(
        organization, scopes=["agents:read", "tokens:read"], created_at=current - registered
    )
    credential, _ = make_credential(agent, last_used_at=current)
    ask(credential, [timedelta(minutes=3)], scope="agents:read")
    if added:
        change_scopes(agent, current - added, ["agents:read"], agent.scopes)
        change_scopes(agent, current - added / 2, agent.scopes, [*reversed(agent.scopes)])

    page = words(page_of(browser, agent))

    assert f"tokens:read{text}" in page
    assert ("can be removed" in page) == bool(text)


def change_scopes(agent: Agent, at: datetime, before: list[str], after: list[str]) -> None:
    """Record a change of the agent's scopes as of that time."""
    actor = Actor.for_system(agent.organization, "test")
    changes = {"before": {"scopes": before}, "after": {"scopes": after}}
    with organization_scope(agent.organization), time_machine.travel(at):
        record_event(AuditAction.AGENT_UPDATED, agent, actor=actor, **changes)


def test_changes_are_sentences(organization: Organization, browser: Client) -> None:
    made = browser.post(
        "/agents/new",
        {
            "email": "sync@agents.example.com",
            "agent_type": "monitor",
            "version": "1.0.0",
            "owner": "platform",
            "deployment_env": "production",
            "capabilities": "a:b",
            "scopes": ["agents:read", "tokens:read"],
        },
    )
    path = made["Location"]
    browser.post(f"{path}/credentials/new", {"name": "prod"})
    form = {"email": "sync@agents.example.com", "agent_type": "monitor", "version": "1.1.0"}
    form |= {"owner": "platform", "deployment_env": "production", "capabilities": "a:b"}
    browser.post(f"{path}/edit", form | {"scopes": ["agents:read"]})
    browser.post(f"{path}/suspend")

    changes = browser.get(path).context["changes"]

    assert changes[0].what == "suspended sync."
    assert "changed the version from 1.0.0 to 1.1.0." in changes[1].what
    assert "changed the scopes: removed tokens:read." in changes[1].what
    assert re.fullmatch(r"created the credential prod …\S{4}\.", changes[2].what)
    assert changes[3].what == "registered sync."


def test_an_agents_share_of_an_error_stands_beside_the_whole(
    organization: Organization, browser: Client
) -> None:
    agent, other = make_agent(organization), make_agent(organization)
    for owner, number in ((agent, 2), (other, 3)):
        for _ in range(number):
            error = tagged("error", now(), type="ValueError", message="The sheet is empty")
            make_execution(organization, FAILED, agent=owner, agent_name=owner.name, events=[error])

    text = words(page_of(browser, agent))

    assert "2 here, 5 across 2 agents" in text
