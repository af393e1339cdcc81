"""A request that is in progress when rights are lost does not restore them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from core.throttling import LOGIN_FAILURES
from organizations.actions import invitations, members
from organizations.models import Invitation, Membership, Organization, Principal, User
from organizations.people import authentication, passwords
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens import sessions as token_sessions
from tokens.actions import credentials as token_actions
from tokens.models import Credential, LoginSession
from tokens.tests.factories import access_token_for

JSON = "application/json"
OLD, NEW, THEIRS = (
    "a long and quiet password",
    "another long and quiet password",
    "the thief's own long password",
)
Meanwhile = Callable[[Any, str, Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Run a callback when an accepted request is about to call a function."""

    def interrupt(module: Any, name: str, happen: Callable[[], object]) -> None:
        original = getattr(module, name)

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            happen()
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, interrupted)

    return interrupt


def members_url(organization: Organization, *more: object) -> str:
    return "/".join(map(str, [f"/api/v1/organizations/{organization.public_id}/members", *more]))


def make_administrator(organization: Organization) -> Agent:
    agent = make_agent(organization, scopes=["admin:orgs", "agents:write"])
    organization.principals.filter(pk=agent.pk).update(role="admin")
    return agent


# The administration


def test_a_removed_administrator_does_not_add_itself_again(
    organization: Organization, client_for: ClientFor, meanwhile: Meanwhile
) -> None:
    agent = make_administrator(organization)
    own = organization.principals.filter(pk=agent.pk)
    meanwhile(members, "lock_members", lambda: own.update(role=""))

    body = {"agentId": str(agent.pk), "role": "admin"}
    answer = client_for(agent).post(members_url(organization), body, JSON)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("kind", ["person", "agent"])
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_removed_member_changes_no_member(
    organization: Organization,
    other_organization: Organization,
    client_for: ClientFor,
    meanwhile: Meanwhile,
    kind: str,
    method: str,
) -> None:
    friend = make_membership(organization, "viewer")
    actor = make_administrator(organization)
    admin = make_membership(organization, "admin")
    make_membership(other_organization, "owner", admin.user)

    def lose() -> None:
        organization.principals.filter(pk=actor.pk).update(role="")
        admin.delete()

    client = client_for(actor if kind == "agent" else admin)
    meanwhile(members, "lock_members", lose)

    answer = getattr(client, method)(members_url(organization, friend.pk), {"role": "admin"}, JSON)

    assert answer.status_code == 403


def test_a_former_owner_makes_no_owner(
    organization: Organization, client_for: ClientFor, meanwhile: Meanwhile
) -> None:
    make_membership(organization, "owner")
    former, friend = make_membership(organization, "owner"), make_membership(organization, "admin")
    own = Membership.objects.filter(pk=former.pk)
    client = client_for(former)
    meanwhile(members, "lock_members", lambda: own.update(role="admin"))

    answer = client.patch(members_url(organization, friend.pk), {"role": "owner"}, JSON)

    assert answer.status_code == 403


def test_a_removed_member_invites_nobody(
    organization: Organization,
    other_organization: Organization,
    client_for: ClientFor,
    meanwhile: Meanwhile,
) -> None:
    admin = make_membership(organization, "admin")
    make_membership(other_organization, "owner", admin.user)
    client = client_for(admin)
    meanwhile(invitations, "lock_members", admin.delete)

    body = {"email": "friend@example.com", "role": "admin"}
    answer = client.post(members_url(organization), body, JSON)

    assert answer.status_code == 403
    with organization_scope(organization):
        assert not Invitation.objects.exists()


def test_an_administrator_that_asks_all_the_time_is_removed_for_good(
    transactional_db: None,
) -> None:
    organization = make_organization()
    agent = make_administrator(organization)
    body = {"agentId": str(agent.pk), "role": "admin"}
    own = f"Bearer {access_token_for(agent)}"
    owner = f"Bearer {access_token_for(make_membership(organization))}"

    def ask(number: int) -> None:
        try:
            if number == 60:
                path = members_url(organization, agent.pk)
                assert Client(headers={"Authorization": owner}).delete(path).status_code == 204
            else:
                Client(headers={"Authorization": own}).post(members_url(organization), body, JSON)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(120)))

    assert Principal.objects.get(pk=agent.pk).role == ""


# Credentials


@pytest.mark.parametrize("change", ["create", "rotate"])
def test_a_revoked_credential_leaves_no_other_one(
    organization: Organization, client_for: ClientFor, meanwhile: Meanwhile, change: str
) -> None:
    agent = make_agent(organization, scopes=["agents:read", "agents:write"])
    client = client_for(agent)
    path = f"/api/v1/agents/{agent.pk}/credentials"
    kept = client.post(path, {}, JSON).json()["credentialId"]
    others = Credential.objects.filter(agent=agent).exclude(pk=kept)
    meanwhile(token_actions, "require_may_handle", lambda: others.update(status="revoked"))

    answer = client.post(path if change == "create" else f"{path}/{kept}/rotate", {}, JSON)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_a_credential_that_makes_others_all_the_time_is_revoked_for_good(
    transactional_db: None,
) -> None:
    organization = make_organization()
    agent = make_agent(organization, scopes=["agents:read", "agents:write"])
    path = f"/api/v1/agents/{agent.pk}/credentials"
    own = f"Bearer {access_token_for(agent)}"
    owner = f"Bearer {access_token_for(make_membership(organization))}"
    with organization_scope(organization):
        leaked = Credential.objects.get(agent=agent)

    def ask(number: int) -> None:
        client = Client(headers={"Authorization": own})
        try:
            if number == 30:
                administrator = Client(headers={"Authorization": owner})
                assert administrator.delete(f"{path}/{leaked.pk}").status_code == 204
                return
            made = client.post(path, {}, JSON)
            if made.status_code == 201:
                client.delete(f"{path}/{made.json()['credentialId']}")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(60)))

    with organization_scope(organization):
        leaked.refresh_from_db()
        late = Credential.objects.filter(agent=agent, created_at__gt=leaked.revoked_at)
        assert not late.exists()


# Passwords


@pytest.fixture
def ada(organization: Organization) -> Membership:
    return make_membership(organization, "owner", make_user("ada@example.com", OLD))


@pytest.fixture
def changed_while_hashing(ada: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ada sets a new password while another request verifies the old one."""
    original = authentication.whose_password

    def slow(*args: Any) -> list[User]:
        found = original(*args)
        set_password(ada.user)
        return found

    monkeypatch.setattr(authentication, "whose_password", slow)


def set_password(user: User) -> None:
    user = User.objects.get(pk=user.pk)
    user.set_password(NEW)
    user.save(update_fields=["password", "sessions_valid_from"])


def log_in(password: str = OLD) -> Any:
    return Client().post(
        "/api/v1/auth/login", {"email": "ada@example.com", "password": password}, JSON
    )


def has_new_password(user: User) -> bool:
    user.refresh_from_db()
    return user.check_password(NEW) and user.email == "ada@example.com"


def test_a_former_password_begins_no_session(ada: Membership, changed_while_hashing: None) -> None:
    answer = log_in()

    assert answer.status_code == 401
    assert not LoginSession.objects.exists()


def test_a_session_of_a_former_password_is_over(
    ada: Membership, changed_while_hashing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without reading the account again."""
    monkeypatch.setattr(token_sessions, "lock_proven", lambda user: user)

    token = log_in().json()["accessToken"]

    session = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/auth/session")
    assert session.status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [("/password", {"new": THEIRS}), ("/email", {"email": "thief@example.com"})],
)
def test_a_former_password_changes_nothing(
    ada: Membership,
    changed_while_hashing: None,
    signed_in: Callable[..., Client],
    path: str,
    body: dict[str, str],
) -> None:
    answer = signed_in(ada).post(path, {"current": OLD, **body})

    assert answer.status_code == 400
    assert has_new_password(ada.user)


def test_rehashing_a_password_does_not_restore_a_former_one(ada: Membership, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    accounts = User.objects.with_login_name("ada@example.com")
    set_password(ada.user)

    assert passwords.whose_password("ada@example.com", OLD, accounts)

    assert has_new_password(ada.user)


# Guesses


def test_accepting_is_no_way_around_the_limit_of_guesses(
    ada: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    client = client_for(make_membership(other_organization))

    def guess(number: int) -> int:
        body = {"email": ada.user.email, "role": "viewer"}
        link = client.post(members_url(other_organization), body, JSON).json()["acceptUrl"]
        body = {"token": link.rpartition("/")[2], "password": f"guess number {number} of many"}
        answer = Client().post("/api/v1/invitations/accept", body, JSON)
        other_organization.memberships.filter(user__email=ada.user.email).delete()
        return answer.status_code

    limit = LOGIN_FAILURES.limit
    assert [guess(number) for number in range(limit + 1)] == [201] * limit + [429]
