"""The API page's token: what the person may do, for as long as they are signed in."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from core.throttling import REFRESHES
from organizations.models import AuditEvent, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens.models import LoginSession
from tokens.tests.people import PASSWORD, status_of

URL = "/docs/token"


@pytest.fixture
def member(organization: Organization) -> Membership:
    return make_membership(organization, "viewer", make_user("ada@example.com", PASSWORD))


@pytest.fixture
def browser(member: Membership) -> Client:
    client = Client()
    client.post("/login", {"email": "ada@example.com", "password": PASSWORD})
    return client


def token_in(browser: Client) -> str:
    return str(browser.post(URL).json()["accessToken"])


def test_it_has_the_rights_of_the_role_in_the_chosen_organization(
    browser: Client, member: Membership, organization: Organization
) -> None:
    found = browser.post(URL)

    token = found.json()["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (found.status_code, found["Cache-Control"].split(", ")[-1]) == (200, "private")
    assert "no-store" in found["Cache-Control"]
    assert found.json()["expiresIn"] == 15 * 60
    assert status_of(token) == 200
    assert Client().post("/api/v1/agents", {}, headers=headers).status_code == 403  # a viewer
    who = Client().get("/api/v1/auth/session", headers=headers)
    assert who.json()["organizationId"] == organization.public_id


def test_all_tokens_of_a_browser_are_of_one_login_session(
    browser: Client, organization: Organization
) -> None:
    tokens = [token_in(browser) for _ in range(3)]

    assert [status_of(token) for token in tokens] == [200] * 3
    assert LoginSession.objects.count() == 1
    with organization_scope(organization):
        started = AuditEvent.objects.filter(action="session.started")
        assert started.count() == 2  # the browser's and this one


def sign_out(browser: Client) -> None:
    browser.post("/logout")


def leave_the_administration(browser: Client) -> None:
    User.objects.update(is_staff=True)
    browser.post("/admin/logout/")


def change_password(browser: Client) -> None:
    new = "a new and long passphrase"
    browser.post("/password", {"current": PASSWORD, "new": new})


@pytest.mark.parametrize("end", [sign_out, leave_the_administration, change_password])
def test_it_ends_with_the_session_of_the_browser(browser: Client, end) -> None:
    before = token_in(browser)
    browser.post("/organization", {"organization": "another"})
    end(browser)

    assert status_of(before) == 401


def test_after_a_change_of_the_password_the_browser_gets_another_one(browser: Client) -> None:
    before = token_in(browser)
    change_password(browser)

    assert (status_of(before), status_of(token_in(browser))) == (401, 200)


def test_it_outlives_a_switch_of_the_organization_and_ends_with_the_browser(
    browser: Client, member: Membership
) -> None:
    other = make_membership(make_organization("Other"), "owner", member.user).organization
    before = token_in(browser)
    browser.post("/organization", {"organization": str(other.pk)})
    after = token_in(browser)

    assert [status_of(token) for token in (before, after)] == [200, 200]
    assert LoginSession.objects.count() == 1
    sign_out(browser)
    assert [status_of(token) for token in (before, after)] == [401, 401]


def test_a_browser_session_that_ended_meanwhile_gets_none(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row goes after the session was read, as if another request had signed out."""
    from tokens import sessions

    locked = sessions._locked_login_session
    monkeypatch.setattr(
        sessions,
        "_locked_login_session",
        lambda request: (Session.objects.all().delete(), locked(request))[1],
    )

    assert browser.post(URL).status_code == 401
    assert LoginSession.objects.count() == 0


def test_a_browser_gets_so_many_in_an_hour(browser: Client) -> None:
    found = [browser.post(URL).status_code for _ in range(REFRESHES.limit + 1)]

    assert found == [200] * REFRESHES.limit + [429]


def test_nobody_gets_one_without_a_session_or_from_another_site(browser: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies

    assert Client().post(URL).status_code == 302
    assert strict.post(URL).status_code == 403
    assert browser.get(URL).status_code == 405
