"""Rotating a server secret refuses nobody meanwhile, and a wrong secret is refused at startup."""

import secrets
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.signing import BadSignature, dumps, loads
from django.db.models import F
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.actions import invite
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.actions import end_old_secrets, rotate_credential
from tokens.keys import key_ring
from tokens.models import Credential, KnownSecret, SigningKey, secret_mac
from tokens.tests.clients import FORM
from tokens.tests.factories import make_credential

NAMES = ["SECRET_KEY", "SECRET_PEPPER", "KEY_ENCRYPTION_KEY"]


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["tokens:read"])


def change(settings: Any, name: str) -> str:
    """Set a new secret, with the previous one as its fallback, and return the previous one."""
    before: str = getattr(settings, name)
    setattr(settings, name, secrets.token_urlsafe(48))
    setattr(settings, f"{name}_FALLBACKS", [before])
    key_ring.forget()
    return before


def start() -> None:
    """Run the startup checks, keeping the test's connection."""
    for message in run_checks(tags=[Tags.database], databases=["default"]):
        raise ImproperlyConfigured(message.msg)


def ask(agent: Agent, secret: str) -> int:
    body = {"grant_type": "client_credentials", "client_id": agent.pk, "client_secret": secret}
    return Client().post("/api/v1/token", urlencode(body), content_type=FORM).status_code


def introspect(agent: Agent, secret: str) -> int:
    body = {"token": "x", "client_id": agent.pk, "client_secret": secret}
    path = "/api/v1/token/introspect"
    return Client().post(path, urlencode(body), content_type=FORM).status_code


def finish() -> str:
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_one_does_not_start(db: None, settings: Any, name: str) -> None:
    SigningKey.objects.all().delete()  # nothing else would reveal it
    start()

    setattr(settings, name, secrets.token_urlsafe(48))

    with pytest.raises(ImproperlyConfigured) as refusal:
        start()
    assert str(refusal.value).startswith(f"AGENTIDP_{name} is not the one")
    assert f"AGENTIDP_{name}_FALLBACKS" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_secret_starts_with_the_old_one_as_fallback_and_later_alone(
    db: None, settings: Any, name: str
) -> None:
    start()
    before = change(settings, name)
    start()
    finish()

    setattr(settings, f"{name}_FALLBACKS", [])
    start()

    setattr(settings, name, before)
    with pytest.raises(ImproperlyConfigured, match="is not the one"):
        start()  # a process without the new secret could not read what the others write


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_secret_can_be_given_up(db: None, settings: Any, name: str) -> None:
    SigningKey.objects.all().delete()
    start()
    setattr(settings, name, secrets.token_urlsafe(48))

    call_command("rotate_secrets", forget=f"AGENTIDP_{name}", stdout=StringIO())

    start()


@pytest.mark.parametrize("client", [ask, introspect])
def test_a_client_goes_on_under_a_new_pepper_and_needs_the_old_one_no_longer(
    agent: Agent, settings: Any, client: Any
) -> None:
    start()
    _, secret = make_credential(agent)
    change(settings, "SECRET_PEPPER")
    start()

    assert client(agent, secret) == 200
    settings.SECRET_PEPPER_FALLBACKS = []
    assert client(agent, secret) == 200
    assert ask(agent, secret + "x") == 401


def test_secrets_in_grace_go_on_under_a_new_pepper(agent: Agent, settings: Any) -> None:
    start()
    credential, first = make_credential(agent)
    actor, day = Actor.for_system(agent.organization, "test"), timedelta(days=1)
    with organization_scope(agent.organization):
        _, second = rotate_credential(credential, actor=actor, grace=day)
        _, third = rotate_credential(credential, actor=actor, grace=day)
    change(settings, "SECRET_PEPPER")
    start()

    asked = [ask(agent, secret) for secret in (first, second, third)]
    settings.SECRET_PEPPER_FALLBACKS = []
    again = [ask(agent, secret) for secret in (first, second, third)]

    assert asked == again == [200, 200, 200]


def test_a_process_that_has_the_new_pepper_as_a_fallback_takes_and_keeps_what_others_renewed(
    agent: Agent, settings: Any
) -> None:
    start()
    credential, secret = make_credential(agent)
    before = change(settings, "SECRET_PEPPER")
    start()
    assert ask(agent, secret) == 200
    renewed = secret_mac(secret)

    settings.SECRET_PEPPER_FALLBACKS, settings.SECRET_PEPPER = [settings.SECRET_PEPPER], before
    start()

    assert ask(agent, secret) == 200
    with organization_scope(agent.organization):
        assert bytes(Credential.objects.get(pk=credential.pk).secret_mac) == renewed


def test_the_operator_reads_how_many_clients_need_the_older_pepper(
    agent: Agent, settings: Any
) -> None:
    start()
    _, secret = make_credential(agent)
    change(settings, "SECRET_PEPPER")
    start()
    output = finish()
    assert "1 live credential has not been used" in output
    assert "Keep its fallbacks." in output

    ask(agent, secret)

    assert "0 live credentials have not been used" in finish()
    assert "Remove its fallbacks" in finish()


@pytest.mark.parametrize(
    ("used", "is_left"),
    [
        ((), True),
        (("old",), True),
        (("current",), True),
        (("current", "old"), True),
        (("old", "current"), False),
        (("rotated", "current"), True),
        (("rotated", "old", "current"), False),
        (("ended", "old"), True),
        (("ended", "current"), False),
    ],
)
def test_a_credential_in_grace_needs_the_older_pepper_until_both_secrets_were_used(
    agent: Agent, settings: Any, used: tuple[str, ...], is_left: bool
) -> None:
    start()
    credential, old = make_credential(agent)
    actor, day = Actor.for_system(agent.organization, "test"), timedelta(days=1)
    known = {"old": old}

    def rotate() -> None:
        with organization_scope(agent.organization):
            row = Credential.objects.get(pk=credential.pk)
            known["current"] = rotate_credential(row, actor=actor, grace=day)[1]

    if "rotated" not in used:
        rotate()
    age(agent, timedelta(hours=2), "created_at", "rotated_at")
    change(settings, "SECRET_PEPPER")
    start()
    finish()
    KnownSecret.objects.update(everywhere_since=F("everywhere_since") - timedelta(hours=1))
    for name in used:
        if name == "rotated":
            rotate()
        elif name == "ended":
            with organization_scope(agent.organization):
                end_old_secrets(Credential.objects.get(pk=credential.pk), actor=actor)
        else:
            ask(agent, known[name])
            age(agent, timedelta(minutes=5), "last_used_at", "previous_last_used_at")

    assert ("Keep its fallbacks" in finish()) == is_left


def age(agent: Agent, by: timedelta, *names: str) -> None:
    """Move these times of the agent's credential into the past."""
    with organization_scope(agent.organization):
        Credential.objects.update(**{name: F(name) - by for name in names})


def test_without_a_fallback_the_token_endpoint_asks_the_database_no_more_than_before(
    agent: Agent, django_assert_num_queries: Any
) -> None:
    _, secret = make_credential(agent)
    assert ask(agent, secret) == 200  # reads what a process reads once

    with django_assert_num_queries(0):  # its one statement bypasses Django's cursor
        assert ask(agent, secret) == 200


def test_signing_keys_open_under_a_new_key_and_need_the_old_one_no_longer(
    db: None, settings: Any
) -> None:
    start()
    change(settings, "KEY_ENCRYPTION_KEY")
    start()

    output = finish()

    settings.KEY_ENCRYPTION_KEY_FALLBACKS = []
    start()
    assert "2 signing keys are encrypted under the current key" in output
    assert "AGENTIDP_KEY_ENCRYPTION_KEY: nothing needs its fallbacks" in output
    SigningKey.objects.filter(algorithm="RS256").delete()
    assert "1 signing key is encrypted under the current key" in finish()


def test_a_key_that_was_not_brought_over_stops_the_start(db: None, settings: Any) -> None:
    start()
    change(settings, "KEY_ENCRYPTION_KEY")
    start()
    settings.KEY_ENCRYPTION_KEY_FALLBACKS = []

    with pytest.raises(ImproperlyConfigured, match="AGENTIDP_KEY_ENCRYPTION_KEY_FALLBACKS"):
        start()


def test_an_invitation_opens_under_a_new_pepper(organization: Organization, settings: Any) -> None:
    owner = Actor.for_person(make_membership(organization, "owner"))
    with organization_scope(organization):
        _, link = invite(organization, actor=owner, email="new@example.com", role="viewer")
    change(settings, "SECRET_PEPPER")
    path = "/" + link.split("/", 3)[3] if "://" in link else link

    assert Client().get(path).status_code == 200
    settings.SECRET_PEPPER_FALLBACKS = []
    assert Client().get(path).status_code != 200


def test_what_the_older_key_signed_is_read(db: None, settings: Any) -> None:
    signed = dumps("a form")
    change(settings, "SECRET_KEY")

    assert loads(signed) == "a form"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(BadSignature):
        loads(signed)
