"""People sign in over the API, and guesses at their passwords are limited."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from organizations.models import AuditEvent, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens.tests.people import LOGIN, PASSWORD, SESSION, actions_in, log_in, post


@pytest.fixture
def member(organization: Organization) -> Membership:
    return make_membership(organization, "admin", make_user("ada@example.com", PASSWORD))


def test_a_person_signs_in_and_is_known(member: Membership) -> None:
    answer = log_in()

    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens["tokenType"] == "Bearer"
    assert tokens["expiresIn"] == 900
    assert tokens["organizationId"] == member.organization.public_id
    assert tokens["role"] == "admin"
    session = Client(headers={"Authorization": f"Bearer {tokens['accessToken']}"}).get(SESSION)
    assert session.json() == {
        "kind": "person",
        "id": str(member.user_id),
        "email": "ada@example.com",
        "organizationId": member.organization.public_id,
        "role": "admin",
        "scopes": session.json()["scopes"],
        "organizations": [
            {"organizationId": member.organization.public_id, "name": "Northwind Labs"}
        ],
    }
    assert "admin:orgs" in session.json()["scopes"]
    assert actions_in(member.organization) == [("session.started", "success")]


def test_the_address_is_compared_without_case_and_the_password_with(member: Membership) -> None:
    assert log_in("ADA@Example.com").status_code == 200
    assert log_in(password=PASSWORD.upper()).status_code == 401


def test_unknown_name_and_wrong_password_get_the_same_answer(member: Membership) -> None:
    wrong = log_in(password="not the password")
    unknown = log_in("nobody@example.com")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong["WWW-Authenticate"] == unknown["WWW-Authenticate"]


def test_a_failure_is_audited_where_the_person_belongs(member: Membership) -> None:
    log_in(password="not the password")
    log_in("nobody@example.com")

    assert actions_in(member.organization) == [("auth.failed", "failure")]


def test_a_refused_name_is_not_written_down(member: Membership) -> None:
    log_in("hunter2-typed-into-the-wrong-field")

    unidentified = Organization.objects.get(status="system")
    with organization_scope(unidentified):
        event = AuditEvent.objects.get()
    assert "hunter2" not in str(vars(event))


@pytest.mark.parametrize("case", ["inactive person", "suspended organization", "no organization"])
def test_who_may_not_enter_gets_the_answer_of_a_wrong_password(
    member: Membership, case: str
) -> None:
    wrong = log_in(password="not the password")
    if case == "inactive person":
        User.objects.update(is_active=False)
    elif case == "suspended organization":
        Organization.objects.filter(pk=member.organization_id).update(status="suspended")
    else:
        member.delete()

    answer = log_in()

    assert (answer.status_code, answer.content) == (401, wrong.content)


def test_the_eleventh_failure_in_a_minute_must_wait(member: Membership) -> None:
    refused = [log_in(password="guess").status_code for _ in range(10)]

    eleventh = log_in(password="guess")
    right = log_in()

    assert refused == [401] * 10
    assert eleventh.status_code == right.status_code == 429
    assert 1 <= int(eleventh["Retry-After"]) <= 60
    assert eleventh.json()["code"] == "RATE_LIMIT_EXCEEDED"


def test_somebody_elses_guesses_lock_nobody_out(member: Membership) -> None:
    for _ in range(12):
        post(LOGIN, {"email": "ada@example.com", "password": "guess"}, REMOTE_ADDR="198.51.100.7")

    assert log_in().status_code == 200


def test_success_is_not_counted(member: Membership) -> None:
    answers = [log_in().status_code for _ in range(12)]

    assert answers == [200] * 12


def test_one_address_cannot_try_a_hundred_names(db: None) -> None:
    answers = [log_in(f"person{number}@example.com").status_code for number in range(102)]

    assert answers == [401] * 100 + [429] * 2


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_cannot_slip_through() -> None:
    make_membership(make_organization(), "admin", make_user("ada@example.com", PASSWORD))

    def guess(_: int) -> int:
        try:
            return int(log_in(password="guess").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(guess, range(24)))

    assert answers == [401] * 10 + [429] * 14


def test_signing_in_to_a_named_organization(
    member: Membership, other_organization: Organization
) -> None:
    make_membership(other_organization, "viewer", member.user)

    answer = log_in(organizationId=other_organization.public_id)
    foreign = log_in(organizationId="org-0a1b2c3d-e4f5-6789-abcd-ef0123456789")

    assert answer.json()["organizationId"] == other_organization.public_id
    assert foreign.status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "ada@example.com"}, "password"),
        ({"email": 1, "password": ["x"]}, "password"),
        ({"email": "ada@example.com", "password": "x" * 5000}, "password"),
        ({"email": "a" * 300, "password": "x"}, "email"),
        ({"email": "a", "password": "x", "organizationId": "nowhere"}, "organizationId"),
        ({"email": "a", "password": "x", "role": "owner"}, "role"),
    ],
)
def test_a_bad_sign_in_names_the_field(db: None, body: dict[str, Any], field: str) -> None:
    answer = post(LOGIN, body)

    assert answer.status_code == 400
    assert field in answer.json()["details"]
