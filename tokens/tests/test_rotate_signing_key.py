"""manage.py rotate_signing_key: a key is published before use, keys overlap, and an emergency takes
effect at once."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client

from agentidp.checks import refuse_unsafe_start
from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from tokens.keys import KeyRing, key_ring, rotate_signing_key
from tokens.models import MAX_TOKEN_LIFETIME, SigningKey
from tokens.tests.clients import basic
from tokens.tests.factories import access_token_for, make_credential
from tokens.tests.forgery import take_apart
from tokens.tests.key_times import later, move_keys

JWKS = "/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def fresh_ring(db: None) -> Any:
    """A fresh ring, because the process's own ring outlives a test's rows."""
    key_ring.forget()
    yield
    key_ring.forget()


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read"])


def rotate(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_signing_key", *arguments, stdout=out)
    key_ring.forget()
    return out.getvalue()


def published() -> list[str]:
    return [key["kid"] for key in Client().get(JWKS).json()["keys"]]


def status_of(token: str) -> int:
    header = {"Authorization": f"Bearer {token}"}
    return Client().get("/api/v1/agents", headers=header).status_code


def test_a_new_key_is_published_before_it_signs(agent: Agent) -> None:
    before = take_apart(access_token_for(agent)).header["kid"]

    rotate()

    new = SigningKey.objects.order_by("created_at").last()
    assert new is not None
    assert new.kid in published()
    max_age = settings.JWKS_MAX_AGE.total_seconds()
    assert (new.active_from - new.created_at).total_seconds() >= max_age
    with later(max_age):
        assert take_apart(access_token_for(agent)).header["kid"] == before
    with later(max_age + 11):
        assert take_apart(access_token_for(agent)).header["kid"] == new.kid
        assert status_of(access_token_for(agent)) == 200


def test_tokens_of_the_old_key_live_to_their_end(agent: Agent) -> None:
    rotate()

    with later(settings.JWKS_MAX_AGE.total_seconds() + 9):
        last = access_token_for(agent)
    old = take_apart(last).header["kid"]
    with later(settings.JWKS_MAX_AGE.total_seconds() + 3590):
        assert old in published()
        assert status_of(last) == 200
    with later(settings.JWKS_MAX_AGE.total_seconds() + 3620):
        assert status_of(last) == 401
    with later(settings.JWKS_MAX_AGE.total_seconds() + 9 + MAX_TOKEN_LIFETIME):
        assert old in published()  # a resource's tokens may live that long
    with later(2 * 86_400):
        assert old not in published()


def test_two_rotations_in_a_row_leave_no_gap(agent: Agent) -> None:
    rotate()
    rotate()

    for seconds in (0, 100, 305, 312, 320, 4000, 90_000):
        with later(seconds):
            assert status_of(access_token_for(agent)) == 200


def test_an_emergency_ends_every_token_of_the_old_key(agent: Agent) -> None:
    old = access_token_for(agent)

    rotate("--emergency")

    new = access_token_for(agent)
    assert status_of(old) == 401
    assert status_of(new) == 200
    assert take_apart(old).header["kid"] not in published()
    assert take_apart(new).header["kid"] in published()


def test_each_algorithm_rotates_for_itself(agent: Agent) -> None:
    token = access_token_for(agent)

    rotate("--algorithm", "RS256", "--emergency")

    assert status_of(token) == 200
    Organization.objects.filter(pk=agent.organization_id).update(signing_algorithm="RS256")
    agent.organization.refresh_from_db()
    assert status_of(access_token_for(agent)) == 200


def test_the_command_prints_what_happens_when() -> None:
    lines = rotate().splitlines()

    assert len(lines) == 4
    assert lines == sorted(lines)
    assert "is published" in lines[0]
    assert " no longer signs" in lines[1]
    assert "signs all new tokens" in lines[2]
    assert "is removed" in lines[3]
    assert "PRIVATE" not in " ".join(lines)


def test_a_rotation_is_audited() -> None:
    rotate("--emergency")

    with organization_scope(UNIDENTIFIED_ORGANIZATION_ID):
        event = AuditEvent.objects.get(action="signing_key.rotated")
    assert event.metadata["isEmergency"] is True
    assert event.target_id == SigningKey.objects.order_by("created_at").last().pk
    assert "private" not in json.dumps(event.metadata).lower()


def test_a_new_process_reads_the_same_ring(agent: Agent) -> None:
    rotate()

    assert sorted(key["kid"] for key in KeyRing().published()) == sorted(published())


def test_private_keys_are_encrypted_at_rest() -> None:
    key = rotate_signing_key("ES256")

    stored = bytes(key.private_key)
    assert b"PRIVATE KEY" not in stored
    assert stored.startswith(b"gAAAA")  # Fernet
    assert "d" not in key.public_jwk


def test_another_encryption_key_stops_the_start_with_one_line(settings: Any) -> None:
    rotate_signing_key("ES256")
    settings.KEY_ENCRYPTION_KEY = Fernet.generate_key().decode()

    with pytest.raises(ImproperlyConfigured) as refusal:
        refuse_unsafe_start()

    assert "AGENTIDP_KEY_ENCRYPTION_KEY" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_encryption_key_rotates_nothing(settings: Any) -> None:
    count = SigningKey.objects.count()
    settings.KEY_ENCRYPTION_KEY = Fernet.generate_key().decode()

    with pytest.raises(ImproperlyConfigured):
        call_command("rotate_signing_key")

    assert SigningKey.objects.count() == count


def test_a_first_key_made_while_the_clock_was_ahead_stops_nobody(agent: Agent) -> None:
    secret = make_credential(agent)[1]
    [key] = SigningKey.objects.filter(algorithm="ES256").values_list("kid", flat=True)

    move_keys(timedelta(hours=1))

    answer = Client().post(
        "/api/v1/token",
        "grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
        headers=basic(str(agent.pk), secret),
    )

    assert answer.status_code == 200
    assert take_apart(answer.json()["access_token"]).header["kid"] == key
