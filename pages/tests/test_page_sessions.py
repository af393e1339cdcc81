"""Signing in to pages: a new session id, ended on the server, audited (S121 to S126)."""

from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client, RequestFactory

from core import throttling
from core.errors import InvalidValue, TooManyRequests
from core.throttling import Quota
from organizations.actions import change_password, signing_in
from organizations.models import AuditEvent, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tokens import sessions as token_sessions
from tokens.models import LoginSession
from tokens.tests.factories import person_refresh

PASSWORD = "a long and quiet password"
NEW = "another long and quiet password"


@pytest.fixture
def member(organization: Organization) -> Membership:
    return make_membership(organization, "admin", make_user("ada@example.com", PASSWORD))


def log_in(client: Client, password: str = PASSWORD, email: str = "ada@example.com") -> Any:
    return client.post("/login", {"email": email, "password": password})


def is_inside(client: Client) -> bool:
    return client.get("/organizations").status_code == 200


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))


def test_signing_in_gives_a_new_session(member: Membership) -> None:
    client = Client()
    client.session.save()
    before = client.cookies.get("sessionid")

    log_in(client)

    assert is_inside(client)
    after = client.cookies["sessionid"].value
    assert before is None or before.value != after
    assert actions_in(member.organization) == ["session.started"]


def test_a_planted_session_id_is_not_kept(member: Membership) -> None:
    planted = SessionStore()
    planted["theirs"] = "yes"
    planted.save()
    client = Client()
    client.cookies["sessionid"] = planted.session_key

    log_in(client)

    assert client.cookies["sessionid"].value != planted.session_key
    assert not SessionStore().exists(planted.session_key or "")


def test_unknown_name_and_wrong_password_look_the_same(member: Membership) -> None:
    wrong = log_in(Client(), "not the password")
    unknown = log_in(Client(), email="bob@example.com")

    assert wrong.status_code == unknown.status_code
    assert wrong.content.decode().replace("ada@", "bob@").count("bob@example.com") == (
        unknown.content.decode().count("bob@example.com")
    )
    assert actions_in(member.organization) == ["auth.failed"]


def test_pages_and_api_share_the_throttle(member: Membership) -> None:
    for _ in range(6):
        log_in(Client(), "guess")
    for _ in range(4):
        Client().post(
            "/api/v1/auth/login",
            {"email": "ada@example.com", "password": "guess"},
            "application/json",
        )

    answer = log_in(Client())

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


def test_signing_out_ends_the_session_on_the_server(member: Membership) -> None:
    client = Client()
    log_in(client)
    copy = Client()
    copy.cookies["sessionid"] = client.cookies["sessionid"].value

    client.post("/logout")

    assert not is_inside(copy)
    assert actions_in(member.organization)[-1] == "session.ended"


def test_signing_out_takes_a_post(member: Membership) -> None:
    client = Client()
    log_in(client)

    assert client.get("/logout").status_code == 405
    assert is_inside(client)


def test_a_deactivated_person_is_outside_at_once(member: Membership) -> None:
    client = Client()
    log_in(client)

    User.objects.filter(pk=member.user_id).update(is_active=False)

    assert not is_inside(client)


def test_a_person_of_a_suspended_organization_does_not_enter(member: Membership) -> None:
    Organization.objects.filter(pk=member.organization_id).update(status="suspended")
    client = Client()

    log_in(client)

    assert not is_inside(client)


def test_a_person_without_an_organization_enters_to_make_one(db: None) -> None:
    make_user("ada@example.com", PASSWORD)
    client = Client()

    log_in(client)

    assert is_inside(client)


def test_switching_is_audited_in_the_organization_entered(
    member: Membership, other_organization: Organization
) -> None:
    make_membership(other_organization, "viewer", member.user)
    client = Client()
    log_in(client)
    before = client.cookies["sessionid"].value

    client.post("/organization", {"organization": str(other_organization.pk)})

    assert client.session["organization_id"] == str(other_organization.pk)
    assert client.cookies["sessionid"].value != before
    assert actions_in(other_organization) == ["session.started"]


def test_nobody_fills_an_audit_log_by_switching(
    member: Membership,
    other_organization: Organization,
    client_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = Quota(3, throttling.ENTRIES.window)
    monkeypatch.setattr(signing_in, "ENTRIES", few)
    monkeypatch.setattr(token_sessions, "ENTRIES", few)
    make_membership(other_organization, "viewer", member.user)
    browser, client = Client(), client_for(member)
    log_in(browser)

    wanted = (other_organization.pk, other_organization.pk, member.organization_id)
    pages = [browser.post("/organization", {"organization": str(each)}) for each in wanted]
    body = {"organizationId": other_organization.public_id}
    calls = [client.post("/api/v1/auth/switch", body, "application/json") for _ in "ab"]
    late = browser.post("/organization", {"organization": str(other_organization.pk)})

    # A person who is signed in already is not signed in again.
    assert [answer.status_code for answer in (*pages, *calls)] == [302, 302, 302, 200, 429]
    assert calls[-1].json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert late.status_code == 429
    assert actions_in(other_organization) == ["session.started"] * 2


@pytest.mark.parametrize("wanted", ["", "x", "\x00", "0a1b2c3d-e4f5-6789-abcd-ef0123456789"])
def test_nobody_switches_to_an_organization_of_others(
    member: Membership, other_organization: Organization, wanted: str
) -> None:
    client = Client()
    log_in(client)

    for choice in (wanted, str(other_organization.pk)):
        client.post("/organization", {"organization": choice})

    assert client.session["organization_id"] == str(member.organization_id)


def request_of(user: User) -> HttpRequest:
    request = RequestFactory().post("/")
    request.session = SessionStore()
    request.user = user
    return request


def test_a_new_password_ends_the_other_sessions(member: Membership) -> None:
    client = Client()
    log_in(client)
    session = LoginSession.objects.create(user=member.user)
    token = str(person_refresh(member, session).access_token)

    change_password(request_of(member.user), current=PASSWORD, new=NEW)

    assert not is_inside(client)
    api = Client(headers={"Authorization": f"Bearer {token}"})
    assert api.get("/api/v1/auth/session").status_code == 401
    assert log_in(Client(), NEW).status_code == 302
    assert "session.password_changed" in actions_in(member.organization)


@pytest.mark.parametrize(
    ("current", "new", "field"), [("guess", NEW, "current"), (PASSWORD, "short", "new")]
)
def test_a_bad_change_of_password_names_the_field(
    member: Membership, current: str, new: str, field: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        change_password(request_of(member.user), current=current, new=new)

    assert list(caught.value.details) == [field]
    member.user.refresh_from_db()
    assert member.user.check_password(PASSWORD)


def test_a_person_changes_the_password_on_a_page_and_stays_inside(member: Membership) -> None:
    client, elsewhere = Client(), Client()
    log_in(client)
    log_in(elsewhere)

    wrong = client.post("/password", {"current": "guess", "new": NEW})
    weak = client.post("/password", {"current": PASSWORD, "new": "short"})
    right = client.post("/password", {"current": PASSWORD, "new": NEW})

    assert (wrong.status_code, weak.status_code, right.status_code) == (400, 400, 302)
    assert "This is not your password." in wrong.content.decode()
    assert "too short" in weak.content.decode()
    assert (is_inside(client), is_inside(elsewhere)) == (True, False)


def test_staff_change_theirs_on_the_same_page(member: Membership) -> None:
    User.objects.update(is_staff=True)
    client = Client()
    log_in(client)

    assert client.get("/admin/password_change/")["Location"] == "/password"


def test_guessing_the_present_password_is_throttled(member: Membership) -> None:
    for _ in range(10):
        with pytest.raises(InvalidValue):
            change_password(request_of(member.user), current="guess", new=NEW)

    with pytest.raises(TooManyRequests):
        change_password(request_of(member.user), current=PASSWORD, new=NEW)
