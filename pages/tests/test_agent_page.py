"""An agent's page says in one sentence how it does, offers one deed, and shows each credential's
use.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import event, store
from executions.models import now
from executions.tests.factories import FAILED, make_execution, tagged
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential
from tokens.tests.factories import make_credential

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


def page_of(browser: Client, agent: Agent) -> str:
    text = browser.get(f"/agents/{agent.pk}").content.decode()
    main = re.search(r"<main.*</main>", text, re.DOTALL)
    assert main
    return main[0]


def words(html: str) -> str:
    """The text that one sees: dialogs are closed."""
    shown = re.sub(r"<dialog.*?</dialog>", " ", html, flags=re.DOTALL)
    return " ".join(strip_tags(shown).split())


def verdict_of(page: str) -> str:
    found = re.search(r'<div class="finding verdict.*?\n</div>', page, re.DOTALL)
    assert found
    return found[0]


def ask(credential: Credential, ages: list[timedelta], **fields: Any) -> None:
    """Record requests of these ages that came with the credential."""
    agent, current = credential.agent, timezone.now()
    store(
        agent.organization,
        [event(agent, current - age, credential=credential, **fields) for age in ages],
    )


def unused(agent: Agent) -> None:
    make_credential(agent)


def one_secret(agent: Agent) -> None:
    credential, _ = make_credential(agent, secret="sk_live_one1", last_used_at=timezone.now())
    ask(credential, [HOUR, 2 * HOUR], secret_hint="one1")
    ask(credential, [3 * HOUR], outcome="refused")
    ask(credential, [25 * HOUR], secret_hint="one1")


def two_secrets(agent: Agent) -> None:
    one_secret(agent)
    other, _ = make_credential(agent, secret="sk_live_two2", name="prod")
    ask(other, [HOUR] * 4, secret_hint="two2")


def only_wrong_ones(agent: Agent) -> None:
    make_credential(agent, last_used_at=timezone.now() - 2 * DAY)
    store(agent.organization, [event(agent, timezone.now() - HOUR, outcome="refused")])


def quiet(agent: Agent) -> None:
    make_credential(agent, last_used_at=timezone.now() - 2 * DAY)


def rotated(
    agent: Agent, old_age: timedelta = 5 * HOUR, new_ages: tuple[timedelta, ...] = ()
) -> None:
    current = timezone.now()
    credential, _ = make_credential(agent, secret="sk_live_old1", name="prod, k8s")
    credential.replace_secret("sk_live_new1", 7 * DAY, current - DAY)
    credential.last_used_at = current
    credential.created_at = current - 40 * DAY
    with organization_scope(agent.organization):
        credential.save()
    ask(credential, [old_age], secret_hint="old1", used_previous_secret=True)
    ask(credential, list(new_ages), secret_hint="new1", ip_address="192.0.2.7")


def finished_rotation(agent: Agent) -> None:
    rotated(agent, new_ages=(2 * HOUR, HOUR))


def running_rotation(agent: Agent) -> None:
    rotated(agent, old_age=HOUR / 2, new_ages=(HOUR,))


def spike(agent: Agent) -> None:
    credential, _ = make_credential(agent, secret="sk_live_spk1", last_used_at=timezone.now())
    ask(credential, [n * DAY for n in range(3, 30)] * 4, secret_hint="spk1")
    ask(credential, [DAY] * 300, secret_hint="spk1")


def refusals(agent: Agent) -> None:
    credential, _ = make_credential(agent, last_used_at=timezone.now())
    ask(credential, [DAY] * 40, outcome="refused", reason="secret_rotated")


def expiring(agent: Agent) -> None:
    current = timezone.now()
    credential, _ = make_credential(
        agent,
        secret="sk_live_exp1",
        created_at=current - 85 * DAY,
        expires_at=current + 5 * DAY,
        last_used_at=current - HOUR,
    )
    ask(credential, [HOUR], secret_hint="exp1")


def abandoned(agent: Agent) -> None:
    one_secret(agent)
    current = timezone.now()
    make_credential(
        agent, name="laptop", created_at=current - 90 * DAY, last_used_at=current - 61 * DAY
    )


def suspended(agent: Agent) -> None:
    set_status(agent, Agent.Status.SUSPENDED)


def decommissioned(agent: Agent) -> None:
    make_credential(agent)
    set_status(agent, Agent.Status.DECOMMISSIONED)


def set_status(agent: Agent, status: str) -> None:
    agent.status = status
    with organization_scope(agent.organization):
        agent.save()


CASES: list[tuple[Callable[[Agent], None] | None, str, str]] = [
    (None, "No credential yet. It cannot get a token until you create one.", "New credential"),
    (unused, "It has not got a token yet.", ""),
    (quiet, "No request in the last 24 hours; its last token was at", ""),
    (
        one_secret,
        "…one1 carried all 3 requests of the last 24 hours, 1 of them refused.",
        "",
    ),
    (
        two_secrets,
        "prod …two2 carried 4 of the 7 requests of the last 24 hours, 1 of them refused; "
        "1 other secret the rest.",
        "",
    ),
    (
        only_wrong_ones,
        "None of the 1 request of the last 24 hours came with a secret of this agent",
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
    (abandoned, "carried all 3 requests of the last 24 hours", ""),
    (suspended, "Suspended. It gets no tokens, and those it had do not work.", "Reactivate"),
    (decommissioned, "Decommissioned. It gets no tokens any more.", ""),
]


def test_the_page_begins_with_one_sentence_and_at_most_one_deed(
    organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))
    viewer = signed_in(make_membership(organization, Membership.Role.VIEWER))
    for prepare, sentence, deed in CASES:
        agent = make_agent(organization)
        if prepare:
            prepare(agent)

        page = page_of(browser, agent)

        verdict = verdict_of(page)
        assert sentence in words(verdict), prepare
        buttons = re.findall(r'class="button button-primary[^>]*>([^<]+)', words_of_page(page))
        assert set(buttons) == ({deed} if deed else set()), prepare
        of_viewer = verdict_of(page_of(viewer, agent))
        assert sentence in words(of_viewer)
        assert ("button" in of_viewer) == (deed == "See the requests")


def words_of_page(page: str) -> str:
    return re.sub(r"<dialog.*?</dialog>", " ", page, flags=re.DOTALL)


def test_a_credential_says_what_may_be_done_about_it_and_why_and_else_is_one_line(
    organization: Organization, browser: Client
) -> None:
    expected = [
        (finished_rotation, "Safe to end. …new1 has got 2 tokens since the rotation", 1),
        (running_rotation, "Keep both for now. The old secret …old1 is still in use", 1),
        (expiring, "It got 1 token in 30 days. The new secret would work until", 1),
        (abandoned, "Safe to revoke. Unused for 61 days, and no live token depends on it.", 1),
        (one_secret, "", 0),
        (unused, "", 0),
    ]
    for prepare, sentence, noteworthy in expected:
        agent = make_agent(organization)
        prepare(agent)

        page = page_of(browser, agent)

        assert page.count('class="card credential"') == noteworthy, prepare
        assert page.count("credential-advice") == noteworthy, prepare
        assert sentence in words(page), prepare
        assert page.count('data-dialog="end-old-') == ("rotation" in prepare.__name__)


def test_old_and_new_secret_are_apart_by_day(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization)
    finished_rotation(agent)

    page = page_of(browser, agent)

    titles = re.findall(r"<title>([^<]+: \d+ tokens?[^<]*)</title>", page)
    drawn = {"day-old": 'class="day-old" fill', "day-bar": 'class="day-bar'}
    assert sum(int(re.findall(r": (\d+) token", title)[0]) for title in titles) == 3
    assert sum(int(found) for title in titles for found in re.findall(r", (\d+) with", title)) == 2
    assert all(page.count(mark) >= 2 for mark in drawn.values())  # a bar and its key


def test_a_scope_that_no_token_had_says_so(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization, scopes=["agents:read", "tokens:read"])
    assert "never requested" not in page_of(browser, agent)
    credential, _ = make_credential(agent, last_used_at=timezone.now())
    ask(credential, [timedelta(minutes=3)], scope="agents:read")

    text = words(page_of(browser, agent))

    assert "agents:read · last granted 3 min ago" in text
    assert "tokens:read · never requested, can be removed" in text


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

    assert "2 here, 5 over 2 agents" in text
