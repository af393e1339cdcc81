"""What one organization says about a person has no effect in another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from core.throttling import Quota
from organizations.actions import invitations
from organizations.models import AuditEvent, Invitation, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens.tests.factories import access_token_for

ADDRESS = "newhire@example.com"
ATTACKERS, OWN = "the attacker's own password", "the true owner's password"
JSON = "application/json"


def members_url(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}/members"


def bearer(subject: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {access_token_for(subject)}"})


def link_of(client: Client, organization: Organization, role: str = "admin") -> str:
    body = {"email": ADDRESS, "role": role}
    answer = client.post(members_url(organization), body, JSON)
    assert answer.status_code == 202
    return str(answer.json()["acceptUrl"].rpartition("/")[2])


def accept(token: str, password: str) -> Any:
    body = {"token": token, "password": password, "name": "New Hire"}
    return Client().post("/api/v1/invitations/accept", body, JSON)


def enter(password: str, organization: Organization | None = None) -> Any:
    body = {"email": ADDRESS, "password": password}
    if organization is not None:
        body["organizationId"] = organization.public_id
    return Client().post("/api/v1/auth/login", body, JSON)


@pytest.fixture
def squatted(organization: Organization, client_for: ClientFor) -> Membership:
    """An account for somebody else's address, created by the owner of `organization`."""
    owner = client_for(make_membership(organization, "owner"))
    assert accept(link_of(owner, organization), ATTACKERS).status_code == 201
    return organization.memberships.get(user__email=ADDRESS)


def test_an_account_made_for_anothers_address_enters_no_other_organization(
    squatted: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    link_of(client_for(make_membership(other_organization, "owner")), other_organization)

    assert enter(ATTACKERS, other_organization).status_code == 401
    assert enter(ATTACKERS).json()["organizationId"] == squatted.organization.public_id
    assert not other_organization.memberships.filter(user=squatted.user).exists()


def test_a_squatted_address_affects_nobody(
    squatted: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    theirs = client_for(make_membership(other_organization, "owner"))

    joined = accept(link_of(theirs, other_organization), OWN)

    assert joined.status_code == 201
    assert enter(OWN).json()["organizationId"] == other_organization.public_id
    assert enter(OWN, squatted.organization).status_code == 401
    assert enter(ATTACKERS, other_organization).status_code == 401
    assert enter("neither of the two passwords").status_code == 401


def test_an_unproven_account_takes_a_link_that_its_holder_was_given(
    squatted: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    """An organization may give its link to whomever it wants: the address alone grants nothing."""
    theirs = client_for(make_membership(other_organization, "owner"))

    joined = accept(link_of(theirs, other_organization), ATTACKERS)

    assert joined.status_code == 201
    assert squatted.user.memberships.count() == 2
    assert enter(ATTACKERS, other_organization).status_code == 200


def test_one_password_for_two_accounts_enters_the_organization_that_is_named(
    squatted: Membership, other_organization: Organization
) -> None:
    twin = make_user(ADDRESS, ATTACKERS, email_verified_at=None)
    make_membership(other_organization, "viewer", twin)

    entered = [enter(ATTACKERS, place).json()["organizationId"] for place in places(squatted, twin)]

    assert entered == [place.public_id for place in places(squatted, twin)]


def places(squatted: Membership, twin: User) -> list[Organization]:
    return [squatted.organization, twin.memberships.get().organization]


def test_a_log_does_not_reveal_whether_others_have_the_address(
    squatted: Membership, other_organization: Organization
) -> None:
    """Failures with an unverified address appear in no log, whether or not the account exists
    elsewhere.
    """
    enter("a wrong password")
    before = failures(squatted.organization)
    make_membership(other_organization, user=make_user(ADDRESS))

    enter("a wrong password")

    assert before == failures(squatted.organization) == []
    assert failures(other_organization) == ["auth.failed"]


def failures(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(
            AuditEvent.objects.filter(action="auth.failed").values_list("action", flat=True)
        )


def test_guessed_addresses_are_limited(
    organization: Organization, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Quota(limit=2, window=invitations.OF_INVITER.window)
    monkeypatch.setattr(invitations, "OF_INVITER", small)
    monkeypatch.setattr(invitations, "IN_HOUR", Quota(limit=3, window=small.window))
    first, second = (client_for(make_membership(organization, "owner")) for _ in range(2))

    def ask(client: Client, number: int) -> Any:
        body = {"email": f"guess-{number}@example.com", "role": "viewer"}
        return client.post(members_url(organization), body, JSON)

    own = [ask(first, number) for number in range(3)]
    together = [ask(second, number) for number in range(3, 5)]

    assert [answer.status_code for answer in own] == [202, 202, 429]
    assert [answer.status_code for answer in together] == [202, 429]
    assert own[-1].json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(own[-1]["Retry-After"]) <= 3600


# Whatever removes a right also removes what was derived from it.


def suspend(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(status="suspended")


def decommission(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(status="decommissioned")


def lose_scope(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(scopes=["agents:read"])


def lose_role(agent: Agent) -> None:
    agent.organization.principals.filter(pk=agent.pk).update(role="member")


def lose_membership(agent: Agent) -> None:
    agent.organization.principals.filter(pk=agent.pk).update(role="")


@pytest.mark.parametrize(
    "lose",
    [suspend, decommission, lose_scope, lose_role, lose_membership],
    ids=lambda f: f.__name__,
)
def test_invitations_end_with_the_right_of_the_agent_that_made_them(
    organization: Organization, client_for: ClientFor, lose: Callable[[Agent], None]
) -> None:
    agent = make_agent(organization, scopes=["admin:orgs"])
    organization.principals.filter(pk=agent.pk).update(role="admin")
    token = link_of(client_for(agent), organization)
    owner = client_for(make_membership(organization, "owner"))
    invitations_url = members_url(organization).replace("members", "invitations")
    before = owner.get(invitations_url).json()["data"][0]["status"]
    with organization_scope(organization):
        lose(agent)

    answer, page = accept(token, OWN), Client().get(f"/invitations/{token}")

    assert (answer.status_code, answer.json()["code"]) == (404, "INVITATION_NOT_FOUND")
    assert page.status_code == 404
    after = owner.get(invitations_url).json()["data"][0]["status"]
    assert (before, after) == ("open", "void")
    assert not User.objects.filter(email=ADDRESS).exists()


def test_an_agent_that_kept_its_right_invites(
    organization: Organization, client_for: ClientFor
) -> None:
    agent = make_agent(organization, scopes=["admin:orgs"])
    organization.principals.filter(pk=agent.pk).update(role="admin")

    token = link_of(client_for(agent), organization)

    assert accept(token, OWN).status_code == 201


def test_an_invitation_ends_with_the_account_that_made_it(
    organization: Organization, client_for: ClientFor
) -> None:
    admin = make_membership(organization, "admin")
    token = link_of(client_for(admin), organization)
    with organization_scope(organization):
        admin.user.delete()

    assert accept(token, OWN).status_code == 404


def test_a_void_invitation_makes_way(organization: Organization, client_for: ClientFor) -> None:
    admin = make_membership(organization, "admin")
    link_of(client_for(admin), organization)
    admin.delete()

    token = link_of(client_for(make_membership(organization, "owner")), organization)

    assert accept(token, OWN).status_code == 201
    with organization_scope(organization):
        assert Invitation.objects.filter(revoked_at=None).count() == 1


# Concurrent requests


@pytest.mark.django_db(transaction=True)
def test_two_organizations_invitations_of_one_address_are_accepted_at_once() -> None:
    organizations = [make_organization() for _ in range(6)]
    tokens = [
        link_of(bearer(make_membership(organization, "owner")), organization)
        for organization in organizations
    ]

    def join(token: str) -> int:
        try:
            return int(accept(token, OWN).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(join, tokens))

    assert answers == [201] * 6
    for organization in organizations:
        assert enter(OWN, organization).json()["organizationId"] == organization.public_id


def test_the_page_tells_to_wait_when_too_many_were_invited(
    organization: Organization, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "OF_INVITER", Quota(1, invitations.OF_INVITER.window))
    browser = signed_in(make_membership(organization, "owner"))
    form = {"email": "ada@example.com", "role": "viewer"}

    first = browser.post("/members/invitations", form)
    second = browser.post("/members/invitations", form | {"email": "bob@example.com"})

    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second.headers["Retry-After"]) > 0
    assert "Too many attempts. Wait" in second.content.decode()


@pytest.mark.parametrize(
    "email",
    [
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "ada@localhost",
        "=?utf-8?q?ada?=@example.com",
        '"ada"@example.com',
    ],
)
def test_nobody_is_invited_at_an_address_that_is_not_universally_valid(
    organization: Organization, client_for: Any, signed_in: Any, email: str
) -> None:
    owner = make_membership(organization, "owner")
    url = f"/api/v1/organizations/{organization.public_id}"
    body = {"email": email, "role": "viewer"}

    answers = [
        client_for(owner).post(f"{url}/{path}", body, "application/json")
        for path in ("members", "invitations")
    ]
    page = signed_in(owner).post("/members/invitations", body)

    for answer in answers:
        assert answer.status_code == 400
        assert list(answer.json()["details"]) == ["email"]
    assert (page.status_code, list(page.context["form"].errors)) == (400, ["email"])
    with organization_scope(organization):
        assert not Invitation.objects.exists()
