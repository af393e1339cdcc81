"""Equal-looking texts are equal: each compared field matches across Unicode normalization forms."""

import unicodedata
from collections.abc import Callable
from importlib import import_module
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.db.models import CharField, EmailField
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agents.tests.factories import make_agent
from conftest import ClientFor
from core.text import (
    MARKS,
    NormalizedCharField,
    NormalizedEmailField,
    comparable,
    normalized,
    normalized_password,
    same,
)
from executions.models import ExecutionFile
from executions.repeats import digests
from executions.tests.engine import announce, put, report
from executions.tests.factories import make_execution, make_file, make_outside_user
from organizations.models import Membership, Organization, User
from organizations.people.passwords import whose_password
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

MIGRATION = import_module("executions.migrations.0017_normalized_text")
COMPOSED = "Müller-Köln"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
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
    "executions.Execution.agent_name",
    "executions.ExecutionFile.path",
    "executions.ExecutionUser.email",
    "executions.ExecutionUser.name",
    "executions.Upload.path",
    "organizations.AccountLink.email",
    "organizations.Invitation.email",
    "organizations.Organization.name",
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
    "executions.EndedInTime.clock": "a name of ours",
    "executions.EndedInTime.property": "as above",
    "executions.ErrorCount.property": "as above",
    "executions.ExecutionEvent.kind": "the engine's own word; shown as it came",
    "executions.ExecutionError.error_type": "the name of a class; shown as it came",
    "executions.ExecutionError.fingerprint": "a digest",
    "executions.ErrorChange.fingerprint": "as above",
    "executions.ErrorCount.fingerprint": "as above",
    "organizations.AnsweredRequest.key": "ASCII, as the header says",
    "organizations.AnsweredRequest.secret_field": "a name of ours",
    "organizations.Attempt.key": "a digest",
    "organizations.AuditEvent.action": "a word of ours",
    "organizations.AuditEvent.actor_kind": "a word of ours",
    "organizations.AuditEvent.actor_label": "kept as written, part of the chain; searched in NFC",
    "organizations.AuditEvent.request_id": "ASCII",
    "organizations.AuditEvent.target_id": "an id of ours",
    "organizations.AuditEvent.target_label": "kept as written, part of the chain",
    "organizations.AuditEvent.target_type": "a word of ours",
    "organizations.AuditEvent.user_agent": "shown, never compared",
    "organizations.Invitation.inviter_label": "shown, never compared",
    "organizations.Organization.time_zone": "a name of IANA, in ASCII",
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


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (DECOMPOSED, COMPOSED),
        ("\u212b", "\u00c5"),  # ANGSTROM SIGN
        ("\u1100\u1161", "\uac00"),
        ("\u0958", "\u0915\u093c"),  # is longer in NFC
        ("\ufb01", "\ufb01"),  # a ligature is a different text: NFKC is not used
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_the_form(text: str, form: str) -> None:
    assert normalized(text) == form
    assert normalized(form) == form
    assert same(text, form)


def test_half_of_a_character_has_no_form() -> None:
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        normalized("a\ud83d")


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


def test_a_password_keeps_its_case_and_its_ligatures() -> None:
    assert normalized_password("A\u3000b \ufb01") == "A b \ufb01"
    assert normalized_password(DECOMPOSED) == COMPOSED
    assert comparable("É") == "é"


def test_stored_texts_are_normalized_by_the_migration(
    organization: Organization, other_organization: Organization
) -> None:
    """Of two files whose names look the same, the normalized one keeps its name."""
    execution, other = make_execution(organization), make_execution(other_organization)
    for each, path in ((execution, "a"), (execution, "b"), (execution, "c"), (other, "d")):
        make_file(each, "out", path)
    with connection.cursor() as cursor:
        for each, path, name in (
            (execution, "a", DECOMPOSED),
            (execution, "b", f"{DECOMPOSED}.txt"),
            (execution, "c", f"{COMPOSED}.txt"),
            (other, "d", DECOMPOSED),
        ):
            with organization_scope(each.organization_id):
                statement = "UPDATE executions_executionfile SET path = %s WHERE path = %s"
                cursor.execute(statement, [name, path])
        cursor.execute(MIGRATION.EXECUTIONFILE)

    found = []
    for place in (organization, other_organization):
        with organization_scope(place):
            found.append(set(ExecutionFile.objects.values_list("path", flat=True)))
    assert found == [{COMPOSED, f"{DECOMPOSED}.txt", f"{COMPOSED}.txt"}, {COMPOSED}]


@given(
    st.text(st.sampled_from(f"{MARKS}ae\u00e9\u1e69\uac00\u1100\u1161\u11a8\u0958"), max_size=200)
)
def test_long_runs_of_combining_characters_are_normalized_as_all_others(text: str) -> None:
    assert normalized(text) == unicodedata.normalize("NFC", text)
    assert normalized(text * 40) == unicodedata.normalize("NFC", text * 40)


def test_all_combining_characters_are_known() -> None:
    every = map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
    decomposed = ((each, unicodedata.normalize("NFD", each)) for each in every)
    moved = {each for each, plain in decomposed if unicodedata.combining(plain[0])}

    assert moved == set(MARKS)
    assert all(map(unicodedata.combining, unicodedata.normalize("NFD", MARKS)))


NORMALIZED_IN_DATABASE = "SELECT organizations_normalized(%s)"
MAYBE_MARKS = """
SELECT i FROM generate_series(768, 131071) i WHERE i NOT BETWEEN 55296 AND 57343 AND (
    position(chr(820) IN normalize('x' || chr(i) || chr(820), NFD)) = 2
    OR position(chr(837) IN normalize('x' || chr(837) || chr(i), NFD)) <> 2
)
"""
"""Code points that PostgreSQL moves: before one of class 240, or behind one of class 1."""
NORMALIZED_RUNS = """
SELECT i FROM unnest(%s::int[]) i, LATERAL (SELECT 'e' || chr(769) || repeat(chr(i), 31)) _(run)
WHERE organizations_normalized(run) <> run
"""


def test_the_database_leaves_long_runs_of_combining_characters_as_they_are(db: None) -> None:
    """Of its own version of Unicode, and of any later one: what that adds has no category yet."""
    unassigned = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) == "Cn"]
    with connection.cursor() as cursor:
        cursor.execute(MAYBE_MARKS)
        marks = [code for (code,) in cursor.fetchall()]
        cursor.execute(NORMALIZED_RUNS, [[*marks, *map(ord, MARKS), *unassigned]])
        normalized_runs = cursor.fetchall()

    assert len(marks) >= 900
    assert normalized_runs == []


@pytest.mark.parametrize(
    "text", [COMPOSED * 99, "\uac00" * 99, "\u304c" * 99, "\u1ead" * 99, "\u0e33\xe9" * 99]
)
def test_the_database_normalizes_other_texts(db: None, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NORMALIZED_IN_DATABASE, [unicodedata.normalize("NFD", text)])

        assert cursor.fetchone() == (text,)
