"""Invitations: the link is shown once and works once, for the invited address."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from conftest import ClientFor
from organizations.models import AuditEvent, Invitation, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from organizations.tests.factories import make_membership, make_organization, make_user

ACCEPT = "/api/v1/invitations/accept"
PASSWORD = "a long and quiet password"


def url(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}/invitations"


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization, "owner")


@pytest.fixture
def as_owner(owner: Membership, client_for: ClientFor) -> Client:
    return client_for(owner)


def invite(
    client: Client,
    organization: Organization,
    email: str = "grace@example.com",
    role: str = "operator",
) -> Any:
    body = {"email": email, "role": role}
    return client.post(url(organization), body, "application/json")


def token_of(answer: Any) -> str:
    return str(answer.json()["acceptUrl"].rpartition("/invitations/")[2])


def accept(token: str, **body: Any) -> Any:
    return Client().post(ACCEPT, {"token": token, "password": PASSWORD} | body, "application/json")


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))


def test_a_stranger_is_invited_and_joins(organization: Organization, as_owner: Client) -> None:
    invited = invite(as_owner, organization)

    joined = accept(token_of(invited), name="Grace")

    assert invited.status_code == joined.status_code == 201
    assert joined.json() == {
        "organizationId": organization.public_id,
        "organizationName": organization.name,
        "email": "grace@example.com",
        "role": "operator",
    }
    user = User.objects.get(email="grace@example.com")
    assert (user.name, user.check_password(PASSWORD)) == ("Grace", True)
    assert user.memberships.get().role == "operator"
    assert actions_in(organization) == ["org.invitation_created", "org.invitation_accepted"]


def test_an_existing_account_joins_with_its_password(
    organization: Organization, as_owner: Client
) -> None:
    user = make_user("grace@example.com", PASSWORD)
    token = token_of(invite(as_owner, organization))

    joined = accept(token)

    assert joined.status_code == 201
    assert user.memberships.get().organization == organization
    assert User.objects.filter(email="grace@example.com").count() == 1


def test_another_password_makes_an_account_of_its_own_and_tells_nothing(
    organization: Organization, as_owner: Client
) -> None:
    user = make_user("grace@example.com", PASSWORD)

    known = accept(token_of(invite(as_owner, organization)), password="another long password")
    unknown = accept(token_of(invite(as_owner, organization, "new@example.com")))

    assert known.status_code == unknown.status_code == 201
    assert known.json() | {"email": ""} == unknown.json() | {"email": ""}
    assert not user.memberships.exists()
    made = organization.memberships.get(user__email="grace@example.com").user
    assert (made.is_verified, made.created_through) == (False, organization)


def test_the_secret_is_shown_once_and_not_stored(
    organization: Organization, as_owner: Client
) -> None:
    token = token_of(invite(as_owner, organization))
    secret = token.partition(".")[2]

    listed = as_owner.get(url(organization))

    assert len(secret) == 43
    assert secret not in listed.content.decode()
    with organization_scope(organization), connection.cursor() as cursor:
        cursor.execute("SELECT organizations_invitation::text FROM organizations_invitation")
        assert secret not in str(cursor.fetchall())


def unusable(kind: str, invitation: Invitation, client: Client) -> None:
    if kind == "revoked":
        path = f"{url(invitation.organization)}/{invitation.pk}"
        assert client.delete(path).status_code == 204
    elif kind == "expired":
        with organization_scope(invitation.organization):
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif kind == "organization suspended":
        Organization.objects.filter(pk=invitation.organization_id).update(status="suspended")
    elif kind == "inviter gone":
        Membership.objects.all().delete()
    elif kind == "inviter not an administrator any more":
        Membership.objects.update(role="operator")


@pytest.mark.parametrize(
    "kind",
    [
        "used",
        "revoked",
        "expired",
        "organization suspended",
        "inviter gone",
        "inviter not an administrator any more",
    ],
)
def test_an_invitation_that_is_over_is_as_unknown_as_none(
    organization: Organization, as_owner: Client, kind: str
) -> None:
    token = token_of(invite(as_owner, organization))
    with organization_scope(organization):
        invitation = Invitation.objects.select_related("organization").get()
    if kind == "used":
        accept(token)
    unusable(kind, invitation, as_owner)

    answer = accept(token)

    assert (answer.status_code, answer.json()["code"]) == (404, "INVITATION_NOT_FOUND")


@pytest.mark.parametrize("spoil", ["secret", "organization", "form", "nul"])
def test_an_edited_link_opens_nothing(
    organization: Organization,
    other_organization: Organization,
    as_owner: Client,
    spoil: str,
) -> None:
    own, _, secret = token_of(invite(as_owner, organization)).partition(".")
    token = {
        "secret": f"{own}.{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
        "organization": f"{other_organization.pk}.{secret}",
        "form": f"{own}{secret}",
        "nul": f"{own}.{'é' * 43}",
    }[spoil]

    assert accept(token).status_code == 404


@pytest.mark.parametrize(
    "password", ["short", "1q2w3e4r5t6y7u8i9o0p", "grace@example.com", "", "x" * 1025]
)
def test_a_new_account_needs_a_good_password(
    organization: Organization, as_owner: Client, password: str
) -> None:
    token = token_of(invite(as_owner, organization))

    answer = accept(token, password=password)

    assert answer.status_code == 400
    assert "password" in answer.json()["details"]


def test_a_refused_password_does_not_use_the_invitation_up(
    organization: Organization, as_owner: Client
) -> None:
    token = token_of(invite(as_owner, organization))

    refused = accept(token, password="short")

    assert (refused.status_code, accept(token).status_code) == (400, 201)


def test_passwords_are_compared_in_full(organization: Organization, as_owner: Client) -> None:
    long = "correct horse battery staple " * 4
    accept(token_of(invite(as_owner, organization)), password=long)

    user = User.objects.get(email="grace@example.com")

    assert user.check_password(long)
    assert not user.check_password(long[:72])
    assert not user.check_password(long.strip())


def test_an_address_is_invited_once_at_a_time(
    organization: Organization, owner: Membership, as_owner: Client
) -> None:
    invite(as_owner, organization)

    again = invite(as_owner, organization, "GRACE@example.com")
    member = invite(as_owner, organization, owner.user.email)

    assert (again.status_code, again.json()["code"]) == (409, "INVITATION_ALREADY_EXISTS")
    assert (member.status_code, member.json()["code"]) == (409, "ALREADY_MEMBER")


def test_an_expired_invitation_makes_way(organization: Organization, as_owner: Client) -> None:
    first = token_of(invite(as_owner, organization))
    with organization_scope(organization):
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    second = invite(as_owner, organization)

    assert second.status_code == 201
    assert accept(first).status_code == 404
    assert accept(token_of(second)).status_code == 201


def test_an_administrator_invites_no_owner(
    organization: Organization, as_owner: Client, client_for: ClientFor
) -> None:
    as_admin = client_for(make_membership(organization, "admin"))
    invite(as_owner, organization, role="owner")
    with organization_scope(organization):
        invitation = Invitation.objects.get()

    assert invite(as_admin, organization, "eve@example.com", "owner").status_code == 403
    assert as_admin.delete(f"{url(organization)}/{invitation.pk}").status_code == 403


def test_an_invitation_is_listed_with_its_status(
    organization: Organization, other_organization: Organization, as_owner: Client
) -> None:
    accept(token_of(invite(as_owner, organization, "a@example.com")))
    invite(as_owner, organization, "b@example.com")

    body = as_owner.get(url(organization)).json()

    assert body["total"] == 2
    assert [(item["email"], item["status"]) for item in body["data"]] == [
        ("b@example.com", "open"),
        ("a@example.com", "accepted"),
    ]


def test_invitations_of_another_organization_are_unknown(
    organization: Organization,
    other_organization: Organization,
    as_owner: Client,
    client_for: ClientFor,
) -> None:
    theirs = client_for(make_membership(other_organization, "owner"))
    foreign = invite(theirs, other_organization).json()["invitationId"]

    answer = as_owner.delete(f"{url(organization)}/{foreign}")
    unknown = as_owner.delete(f"{url(organization)}/0a1b2c3d-e4f5-6789-abcd-ef0123456789")

    assert as_owner.get(url(organization)).json()["total"] == 0
    assert answer.status_code == unknown.status_code == 404
    assert answer.content == unknown.content


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "a@b.co"}, "role"),
        ({"email": "a@b.co", "role": "member"}, "role"),
        ({"email": "a@b.co\nBcc: x@y.z", "role": "viewer"}, "email"),
        ({"email": "a" * 300 + "@b.co", "role": "viewer"}, "email"),
        ({"email": "a@b.co", "role": "viewer", "expiresAt": "2030-01-01"}, "expiresAt"),
    ],
)
def test_a_bad_invitation_names_the_field(
    organization: Organization, as_owner: Client, body: dict[str, Any], field: str
) -> None:
    answer = as_owner.post(url(organization), body, "application/json")

    assert answer.status_code == 400
    assert field in answer.json()["details"]


def test_an_operator_invites_nobody(organization: Organization, client_for: ClientFor) -> None:
    as_operator = client_for(make_membership(organization, "operator"))

    assert invite(as_operator, organization).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_an_invitation_revoked_during_acceptance_makes_no_member(
    client_for: ClientFor,
) -> None:
    organization = make_organization()
    token = token_of(invite(client_for(make_membership(organization)), organization))

    def join() -> int:
        try:
            return int(accept(token).status_code)
        finally:
            connection.close()

    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(**connection.get_connection_params()) as another,
    ):
        another.execute(
            "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
        )
        another.execute("UPDATE organizations_invitation SET revoked_at = now()")
        answer = pool.submit(join)
        until_it_waits(answer, another)
        another.commit()

        assert answer.result() == 404
