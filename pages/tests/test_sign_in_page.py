"""Signing in: who succeeds, where it leads, and what it reveals."""

from typing import Any

import pytest
from django.test import Client

from core.throttling import LOGIN_FAILURES
from organizations.models import Organization
from organizations.tests.factories import make_membership, make_user

PASSWORD = "a quiet lake at dawn"


def sign_in(client: Client, email: str, password: str = PASSWORD, **extra: str) -> Any:
    return client.post("/login", {"email": email, "password": password, **extra})


@pytest.fixture
def email(organization: Organization) -> str:
    user = make_user("ada@example.com", PASSWORD)
    make_membership(organization, user=user)
    return user.email


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/audit?outcome=failure", "/audit?outcome=failure"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_to_a_page_of_this_site_only(
    email: str, wanted: str, reached: str
) -> None:
    response = sign_in(Client(), email, next=wanted)

    assert (response.status_code, response["Location"]) == (302, reached)


def test_an_account_known_by_a_short_name_signs_in_with_it(organization: Organization) -> None:
    make_membership(organization, user=make_user("ops@example.com", PASSWORD, username="Ops"))

    page = Client().get("/login").content.decode()

    assert ">Email address or name</label>" in page
    assert sign_in(Client(), "ops").status_code == 302


def test_an_unknown_address_and_a_wrong_password_get_the_same_page(email: str) -> None:
    wrong = sign_in(Client(), email, "not-her-password")
    unknown = sign_in(Client(), "no@example.com", "not-her-password")

    assert wrong.status_code == unknown.status_code == 400
    page = wrong.content.decode().replace(email, "no@example.com")
    assert _without_tokens(page) == _without_tokens(unknown.content.decode())
    assert "not-her-password" not in page


def test_too_many_attempts_must_wait(email: str) -> None:
    client = Client()
    for _ in range(LOGIN_FAILURES.limit):
        sign_in(client, email, "wrong")

    response = sign_in(client, email)

    assert response.status_code == 429
    assert f"Wait {response['Retry-After']} seconds" in response.content.decode()


def test_signing_in_changes_the_session_and_signing_out_ends_it(email: str) -> None:
    client = Client()
    client.get("/login")
    sign_in(client, email)
    cookie = client.cookies["sessionid"].value
    assert client.get("/agents").status_code == 200

    client.post("/logout")
    client.cookies["sessionid"] = cookie

    assert client.get("/agents")["Location"].startswith("/login")


def test_signing_out_needs_a_post(email: str) -> None:
    client = Client()
    sign_in(client, email)

    assert client.get("/logout").status_code == 405


@pytest.mark.parametrize("path", ["/login", "/logout", "/organization"])
def test_a_form_of_another_site_is_refused(email: str, path: str) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post(path, {"email": email, "password": PASSWORD})

    assert response.status_code in {302, 403}
    assert "_auth_user_id" not in client.session


def test_the_demo_password_is_shown_in_the_demo_only(db: None, settings: Any) -> None:
    assert b"password <strong>admin" not in Client().get("/login").content

    settings.IS_DEMO = True

    assert b"password <strong>admin" in Client().get("/login").content


def test_a_person_without_an_organization_learns_how_to_get_one(db: None) -> None:
    make_user("new@example.com", PASSWORD)
    client = Client()
    sign_in(client, "new@example.com")

    response = client.get("/", follow=True)

    assert "You belong to no organization yet" in response.content.decode()


def test_switching_leads_into_ones_own_organizations_only(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))

    browser.post("/organization", {"organization": str(other_organization.pk)})

    assert browser.session["organization_id"] == str(organization.pk)


def test_switching_changes_what_the_pages_show(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    membership = make_membership(organization)
    make_membership(other_organization, user=membership.user)
    browser = signed_in(membership)

    browser.post("/organization", {"organization": str(other_organization.pk)})

    assert other_organization.name in browser.get("/agents").content.decode()


def _without_tokens(page: str) -> list[str]:
    return [line for line in page.splitlines() if "csrf" not in line.lower()]
