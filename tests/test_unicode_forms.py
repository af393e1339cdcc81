"""Equal-looking texts are equal: each compared field matches across Unicode normalization forms."""

import unicodedata
from collections.abc import Callable
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.db.models import CharField, EmailField
from django.test import Client
from django.utils import timezone

from agents.tests.factories import make_agent
from conftest import ClientFor
from core.text import (
    NormalizedCharField,
    NormalizedEmailField,
    normalized_password,
)
from executions.models import ExecutionFile
from executions.repeats import digests
from executions.tests.engine import announce, put, report
from executions.tests.factories import make_execution, make_file, make_outside_user
from organizations.models import Membership, Organization, User
from organizations.people.passwords import whose_password
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tests.unicode_texts import COMPOSED, DECOMPOSED

FORMS = pytest.mark.parametrize(
    ("written", "asked"),
    [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)],
    ids=["composed", "decomposed"],
)

COMPARED = {
    "agents.Agent.email",
    "agents.Agent.owner",
    "executions.EndedChange.agent_name",
    "executions.EndedCount.agent_name",
    "executions.EndedInTime.value",
    "executions.ErrorChange.agent_name",
    "executions.ErrorCount.value",
    "executions.ErrorResolution.note",
    "executions.Execution.agent_name",
    "executions.ExecutionFile.path",
    "executions.ExecutionUser.email",
    "executions.ExecutionUser.name",
    "executions.Upload.path",
    "organizations.AccountLink.email",
    "organizations.Invitation.email",
    "organizations.Organization.name",
    "organizations.SavedView.name",
    "organizations.User.email",
    "organizations.User.name",
    "organizations.User.username",
    "tokens.Resource.name",
}
"""Free-text columns used for look-ups or with unique constraints."""
PLAIN = {
    "agents.Agent.runbook_url": "ASCII, by its validator",
    "agents.Agent.version": "ASCII, by its validator",
    "organizations.Organization.slug": "ASCII, by its validator",
    "executions.Execution.fid": "ASCII, by the shape of the request or the name of a folder",
    "executions.DeletedExecution.fid": "as above",
    "executions.EndedChange.status": "an execution's",
    "executions.EndedCount.status": "as above",
    "executions.EndedInTime.clock": "a name in the code",
    "executions.EndedInTime.property": "as above",
    "executions.ErrorCount.property": "as above",
    "executions.ExecutionEvent.kind": "the engine's own word; shown as it came",
    "executions.ExecutionError.error_type": "the name of a class; shown as it came",
    "executions.ExecutionError.fingerprint": "a digest",
    "executions.ErrorChange.fingerprint": "as above",
    "executions.ErrorCount.fingerprint": "as above",
    "executions.ErrorResolution.fingerprint": "as above",
    "executions.ErrorResolution.actor_kind": "a word in the code",
    "executions.ErrorResolution.actor_label": "shown, never compared",
    "analytics.FindingSnooze.message": "shown, never compared",
    "analytics.FindingSnooze.reason": "as above",
    "organizations.AnsweredRequest.key": "ASCII, as the header says",
    "organizations.AnsweredRequest.secret_field": "a name in the code",
    "organizations.Attempt.key": "a digest",
    "organizations.AuditEvent.action": "a word in the code",
    "organizations.AuditEvent.actor_kind": "a word in the code",
    "organizations.AuditEvent.actor_label": "kept as written, part of the chain; searched in NFC",
    "organizations.AuditEvent.request_id": "ASCII",
    "organizations.AuditEvent.target_id": "an id that AgentIdP made",
    "organizations.AuditEvent.target_label": "kept as written, part of the chain",
    "organizations.AuditEvent.target_type": "a word in the code",
    "organizations.AuditEvent.user_agent": "shown, never compared",
    "organizations.Invitation.inviter_label": "shown, never compared",
    "organizations.Organization.time_zone": "a name of IANA, in ASCII",
    "organizations.SavedView.query": "ASCII, percent-encoded",
    "organizations.User.password": "a hash",
    "tokens.Credential.name": "shown, never compared",
    "tokens.Credential.previous_secret_hint": "ASCII",
    "tokens.Credential.secret_hint": "ASCII",
    "tokens.TokenEvent.credential_name": "shown, never compared",
    "tokens.TokenEvent.secret_hint": "ASCII",
    "tokens.Resource.identifier": "an absolute URI, in ASCII",
    "tokens.TokenEvent.resource": "as above",
    "tokens.TokenEvent.scope": "ASCII, as RFC 6749 has it",
    "tokens.SigningKey.kid": "a thumbprint",
    "tokens.KnownSecret.name": "the name of a setting",
    "tokens.LoginSession.user_agent": "shown, never compared",
}


def test_every_column_of_text_is_compared_in_one_form_or_need_not_be() -> None:
    ours = ("agents", "executions", "organizations", "tokens", "analytics")
    columns = {
        f"{model._meta.app_label}.{model.__name__}.{field.name}": field
        for app in ours
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.get_fields()
        if isinstance(field, (CharField, EmailField)) and field.model is model
    }
    free = {
        name: field for name, field in columns.items() if name not in PLAIN and not field.choices
    }
    forms = {
        name
        for name, field in columns.items()
        if isinstance(field, (NormalizedCharField, NormalizedEmailField))
    }

    assert forms == COMPARED
    assert free.keys() - COMPARED == set()


@FORMS
def test_an_agents_owner_is_found_and_filtered(
    organization: Organization, client_for: ClientFor, written: str, asked: str
) -> None:
    owner = client_for(make_membership(organization))
    body = {
        "email": f"a@{written.lower()}.example",
        "agentType": "custom",
        "version": "1.0.0",
        "capabilities": ["a:b"],
        "owner": written,
        "deploymentEnv": "production",
    }

    made = owner.post("/api/v1/agents", body, content_type="application/json")
    again = owner.post(
        "/api/v1/agents",
        body | {"email": f"a@{asked.lower()}.example"},
        content_type="application/json",
    )

    assert made.status_code == 201, made.content
    assert made.json()["owner"] == COMPOSED
    assert (again.status_code, again.json()["code"]) == (409, "AGENT_ALREADY_EXISTS")
    for query in ({"owner": asked}, {"search": asked[:6]}, {"search": asked.lower()}):
        found = owner.get(f"/api/v1/agents?{urlencode(query)}").json()["data"]
        assert [agent["owner"] for agent in found] == [COMPOSED], query


@FORMS
def test_a_person_signs_in_with_their_password_in_either_form(
    organization: Organization, client: Client, written: str, asked: str
) -> None:
    password = f"Grüße aus Köln, {written}"
    member = person(organization, normal(password, written))

    for spelling in (normal(password, asked), password.replace(" ", "\u00a0")):
        answer = client.post(
            "/api/v1/auth/login",
            {"email": member.user.email, "password": spelling},
            content_type="application/json",
        )
        assert answer.status_code == 200, answer.content


def person(organization: Organization, password: str) -> Membership:
    user = User.objects.create_user(
        email="ada@example.com", password=password, email_verified_at=timezone.now()
    )
    return make_membership(organization, user=user)


def normal(text: str, like: str) -> str:
    return unicodedata.normalize("NFD" if like == DECOMPOSED else "NFC", text)


@FORMS
def test_a_hash_of_an_earlier_version_is_accepted_and_updated(
    organization: Organization, written: str, asked: str
) -> None:
    """The old hash is of the password as it was typed."""
    user = person(organization, "another password").user
    password = normal("Grüße aus Köln, wie getippt", written)
    user.password = make_password(password, salt="a" * 22)
    user.save(update_fields=["password"])

    def log_in(text: str) -> int:
        body = {"email": user.email, "password": text}
        return Client().post("/api/v1/auth/login", body, "application/json").status_code

    assert log_in(password) == 200
    assert log_in(normal(password, asked)) == 200
    assert log_in(password) == 200
    assert log_in(password + "!") == 401
    user.refresh_from_db()
    assert whose_password(user.email, normalized_password(password), [user]) == [user]


@pytest.mark.parametrize("bad", ["\x07", "\u0378", "\x1b"])
def test_a_new_password_that_may_change_its_form_is_refused(
    organization: Organization, signed_in: Callable[..., Client], bad: str
) -> None:
    browser = signed_in(person(organization, "the present password"))

    answer = browser.post(
        "/password",
        {"current": "the present password", "new": f"a new password {bad} of mine"},
    )

    assert answer.status_code == 400
    assert "control character" in answer.content.decode()


@FORMS
def test_a_file_has_one_name(
    organization: Organization, client_for: ClientFor, written: str, asked: str
) -> None:
    execution = make_execution(organization)
    make_file(execution, "out", f"{written}.txt")

    answer = client_for(make_membership(organization)).get(
        f"/files/{execution.fid}/out/{quote(asked)}.txt"
    )

    assert (answer.status_code, answer.getvalue()) == (200, b"done")
    with organization_scope(organization):
        assert list(ExecutionFile.objects.values_list("path", flat=True)) == [f"{COMPOSED}.txt"]


@FORMS
def test_a_file_is_uploaded_under_one_name(
    organization: Organization, client_for: ClientFor, written: str, asked: str
) -> None:
    engine = client_for(make_agent(organization))
    url = report(engine)
    put(engine, announce(engine, url, 3, f"{written}.txt"), b"abc")

    again = {"area": "out", "path": f"{asked}.txt", "size": 3}
    same = engine.post(f"{url}/files", again, "application/json")
    other = engine.post(f"{url}/files", again | {"size": 4}, "application/json")

    assert (same.status_code, same.json()["isComplete"]) == (200, True)
    assert (other.status_code, other.json()["code"]) == (409, "FILE_EXISTS")


@FORMS
def test_lists_of_executions_are_narrowed_by_either_form(
    organization: Organization, client_for: ClientFor, written: str, asked: str
) -> None:
    user = make_outside_user(organization, written, uuid4())
    execution = make_execution(
        organization, agent_name=written, user=user, meta={"summary": written, "tags": [written]}
    )
    make_execution(organization, agent_name="Other")
    operator = client_for(make_membership(organization, role=Membership.Role.OPERATOR))

    for name in ("agent_name", "user", "search", "tag"):
        query = urlencode({name: asked.upper()})
        found = operator.get(f"/api/dashboard/running-agents?{query}").json()["agents"]
        assert [row["fid"] for row in found] == [execution.fid], name


def test_names_in_memory_equal_those_in_the_database(organization: Organization) -> None:
    user = User.objects.create(email="b@example.com", name=DECOMPOSED, username=DECOMPOSED.lower())

    assert user.name == COMPOSED
    assert User.objects.filter(name=DECOMPOSED, username__iexact=DECOMPOSED).get() == user
    assert User.objects.filter(name__istartswith=DECOMPOSED[:3]).get() == user
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM organizations_user WHERE id = %s", [user.pk])
        assert cursor.fetchone() == (COMPOSED,)


def test_a_text_that_grows_past_its_limit_is_refused(
    organization: Organization, client_for: ClientFor
) -> None:
    """NFC decomposes this character: 64 of them become 128 characters."""
    owner = client_for(make_membership(organization))

    answer = owner.patch(
        f"/api/v1/organizations/{organization.public_id}",
        {"name": "\u0958" * 64},
        content_type="application/json",
    )

    assert answer.status_code == 400, answer.content
    assert list(answer.json()["details"]) == ["name"]


def test_a_repeated_report_is_the_same_in_either_form(organization: Organization) -> None:
    assert digests({"summary": COMPOSED, "inputs": {COMPOSED: [DECOMPOSED]}}) == digests(
        {"summary": DECOMPOSED, "inputs": {DECOMPOSED: [COMPOSED]}}
    )
    assert digests({"summary": "\ufb01"}) != digests({"summary": "fi"})
