"""Agents in the states that their page tells apart, and what one reads there."""

import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from agents.models import Agent
from analytics.tests.factories import event, store
from organizations.tenancy.scope import organization_scope
from tokens.models import Credential
from tokens.tests.factories import make_credential

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def page_of(browser: Client, agent: Agent) -> str:
    text = browser.get(f"/agents/{agent.pk}").content.decode()
    main = re.search(r"<main.*</main>", text, re.DOTALL)
    assert main
    return main[0]


def without_dialogs(html: str) -> str:
    return re.sub(r"<dialog.*?</dialog>", " ", html, flags=re.DOTALL)


def words(html: str) -> str:
    """The text that one sees: dialogs are closed."""
    shown = without_dialogs(html)
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


def two_secrets_and_a_wrong_one(agent: Agent) -> None:
    two_secrets(agent)
    store(agent.organization, [event(agent, timezone.now() - HOUR, outcome="refused")])


def a_secret_from_before_hints(agent: Agent) -> None:
    current = timezone.now()
    credential, _ = make_credential(agent, name="prod", rotated_at=current - 20 * DAY)
    ask(credential, [HOUR])


def wrong_ones(agent: Agent, number: int = 2) -> None:
    make_credential(agent, last_used_at=timezone.now() - 2 * DAY)
    at = timezone.now() - HOUR
    store(agent.organization, [event(agent, at, outcome="refused") for _ in range(number)])


def a_wrong_one(agent: Agent) -> None:
    wrong_ones(agent, 1)


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


def expired(agent: Agent) -> None:
    current = timezone.now()
    credential, _ = make_credential(
        agent,
        created_at=current - 60 * DAY,
        expires_at=current - DAY,
        last_used_at=current - 2 * DAY,
    )
    ask(credential, [HOUR, 2 * HOUR], outcome="refused", reason="credential_expired")
    make_credential(agent)


def abandoned(agent: Agent) -> None:
    one_secret(agent)
    current = timezone.now()
    make_credential(
        agent, name="laptop", created_at=current - 90 * DAY, last_used_at=current - 61 * DAY
    )


def never_used(agent: Agent) -> None:
    make_credential(agent, created_at=timezone.now() - 9 * DAY)


def suspended(agent: Agent) -> None:
    set_status(agent, Agent.Status.SUSPENDED)


def decommissioned(agent: Agent) -> None:
    make_credential(agent)
    set_status(agent, Agent.Status.DECOMMISSIONED)


def set_status(agent: Agent, status: str) -> None:
    agent.status = status
    with organization_scope(agent.organization):
        agent.save()
