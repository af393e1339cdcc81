"""People and agents join, change roles and leave."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user


def url(organization: Organization, member: Any = None) -> str:
    path = f"/api/v1/organizations/{organization.public_id}/members"
    return f"{path}/{member.pk}" if member else path


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization, "owner")


@pytest.fixture
def as_owner(owner: Membership, client_for: ClientFor) -> Client:
    return client_for(owner)


@pytest.fixture
def add(organization: Organization) -> Callable[..., Any]:
    def post(client: Client, **body: Any) -> Any:
        return client.post(url(organization), body, "application/json")

    return post


def last_event(organization: Organization) -> AuditEvent:
    with organization_scope(organization):
        return AuditEvent.objects.all()[0]


def test_an_agent_becomes_a_member_as_in_the_specification(
    organization: Organization, as_owner: Client, add: Callable[..., Any]
) -> None:
    agent = make_agent(organization)

    answer = add(as_owner, agentId=str(agent.pk), role="admin")

    assert answer.status_code == 201
    assert answer.json()["agentId"] == answer.json()["memberId"] == str(agent.pk)
    assert answer.json()["role"] == "admin"
    assert Principal.objects.get(pk=agent.pk).role == "admin"
    event = last_event(organization)
    assert (event.action, event.agent_id) == ("org.member_added", agent.pk)


def test_a_person_is_invited_and_nobody_learns_whether_they_have_an_account(
    organization: Organization, as_owner: Client, add: Callable[..., Any]
) -> None:
    user = make_user("grace@example.com", name="Grace Hopper")
    fresh = dict.fromkeys(("invitationId", "createdAt", "expiresAt", "acceptUrl", "email"), "")

    known = add(as_owner, email="grace@example.com", role="operator")
    unknown = add(as_owner, email="nobody@example.com", role="operator")

    assert known.status_code == unknown.status_code == 202
    assert known.json() | fresh == unknown.json() | fresh
    assert known.json().keys() == unknown.json().keys() >= {"acceptUrl", "expiresAt"}
    for answer in (known, as_owner.get(url(organization))):
        assert "Grace Hopper" not in answer.content.decode()
        assert str(user.pk) not in answer.content.decode()
    assert not user.memberships.exists()


def test_a_member_is_listed_with_what_is_known_of_the_address(
    organization: Organization, owner: Membership, as_owner: Client
) -> None:
    unproven = make_user("grace@example.com", email_verified_at=None)
    make_membership(organization, "viewer", unproven)
    agent = make_agent(organization)
    organization.principals.filter(pk=agent.pk).update(role="member")

    listed = as_owner.get(url(organization)).json()["data"]

    assert [(member["email"], member["emailVerified"]) for member in listed] == [
        (owner.user.email, True),
        ("grace@example.com", False),
        (None, None),
    ]


def test_nobody_is_a_member_twice(
    organization: Organization, owner: Membership, as_owner: Client, add: Callable[..., Any]
) -> None:
    agent = make_agent(organization)
    add(as_owner, agentId=str(agent.pk), role="member")

    answers = [
        add(as_owner, agentId=str(agent.pk), role="admin"),
        add(as_owner, email=owner.user.email, role="viewer"),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_MEMBER")


def test_an_agent_of_another_organization_is_unknown(
    organization: Organization,
    other_organization: Organization,
    as_owner: Client,
    add: Callable[..., Any],
) -> None:
    foreign = make_agent(other_organization)

    answer = add(as_owner, agentId=str(foreign.pk), role="admin")
    unknown = add(as_owner, agentId="0a1b2c3d-e4f5-6789-abcd-ef0123456789", role="admin")

    assert answer.status_code == unknown.status_code == 404
    assert answer.content == unknown.content
    assert Principal.objects.get(pk=foreign.pk).role == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role"),
        ({"role": "admin"}, "agentId"),
        (
            {"agentId": "0a1b2c3d-e4f5-6789-abcd-ef0123456789", "email": "a@b.co", "role": "admin"},
            "agentId",
        ),
        ({"agentId": "0a1b2c3d-e4f5-6789-abcd-ef0123456789", "role": "owner"}, "role"),
        ({"agentId": "not a uuid", "role": "admin"}, "agentId"),
        ({"email": "a@b.co", "role": "member"}, "role"),
        ({"email": "a@b.co", "role": ""}, "role"),
        ({"email": "no address", "role": "viewer"}, "email"),
        ({"email": "a@b.co", "role": "viewer", "userId": "x"}, "userId"),
    ],
)
def test_a_bad_member_names_the_field(
    as_owner: Client, add: Callable[..., Any], body: dict[str, Any], field: str
) -> None:
    answer = add(as_owner, **body)

    assert answer.status_code == 400
    assert field in answer.json()["details"]


def test_members_are_listed_people_and_agents_alike(
    organization: Organization,
    other_organization: Organization,
    owner: Membership,
    as_owner: Client,
    add: Callable[..., Any],
) -> None:
    make_membership(other_organization, "viewer", owner.user)
    viewer = make_membership(organization, "viewer")
    agent = make_agent(organization)
    make_agent(organization)
    add(as_owner, agentId=str(agent.pk), role="member")

    body = as_owner.get(url(organization)).json()
    second = as_owner.get(url(organization), {"page": 2, "limit": 2}).json()

    assert body["total"] == 3
    assert [(m["memberId"], m["kind"], m["role"]) for m in body["data"]] == [
        (str(owner.pk), "person", "owner"),
        (str(viewer.pk), "person", "viewer"),
        (str(agent.pk), "agent", "member"),
    ]
    assert [member["memberId"] for member in second["data"]] == [str(agent.pk)]


def test_the_list_takes_a_fixed_number_of_queries(
    organization: Organization, as_owner: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        make_membership(organization, "viewer")

    with django_assert_num_queries(9):
        as_owner.get(url(organization))


def test_a_role_is_changed_and_audited(organization: Organization, as_owner: Client) -> None:
    member = make_membership(organization, "viewer")

    answer = as_owner.patch(url(organization, member), {"role": "admin"}, "application/json")

    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
    event = last_event(organization)
    assert event.action == "org.member_role_changed"
    assert event.metadata == {"member": member.user.email, "before": "viewer", "after": "admin"}


def test_an_agents_role_is_changed_and_taken(
    organization: Organization, as_owner: Client, add: Callable[..., Any]
) -> None:
    agent = make_agent(organization)
    add(as_owner, agentId=str(agent.pk), role="member")

    raised = as_owner.patch(url(organization, agent), {"role": "admin"}, "application/json")
    wrong = as_owner.patch(url(organization, agent), {"role": "owner"}, "application/json")
    removed = as_owner.delete(url(organization, agent))
    again = as_owner.delete(url(organization, agent))

    answers = (raised, wrong, removed, again)
    assert [answer.status_code for answer in answers] == [200, 400, 204, 404]
    assert Principal.objects.get(pk=agent.pk).role == ""


def test_only_owners_make_or_unmake_owners(
    organization: Organization, owner: Membership, client_for: ClientFor, add: Callable[..., Any]
) -> None:
    admin = make_membership(organization, "admin")
    viewer = make_membership(organization, "viewer")
    make_user("grace@example.com")
    as_admin = client_for(admin)
    json = "application/json"

    answers = [
        add(as_admin, email="grace@example.com", role="owner"),
        as_admin.patch(url(organization, viewer), {"role": "owner"}, json),
        as_admin.patch(url(organization, admin), {"role": "owner"}, json),
        as_admin.patch(url(organization, owner), {"role": "viewer"}, json),
        as_admin.delete(url(organization, owner)),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5
    assert list(organization.memberships.filter(role="owner")) == [owner]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_does_not_administer_changes_no_member(
    organization: Organization, client_for: ClientFor, role: str
) -> None:
    member = make_membership(organization, role)
    client = client_for(member)

    answers = [
        client.get(url(organization)),
        client.patch(url(organization, member), {"role": "admin"}, "application/json"),
        client.delete(url(organization, member)),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3


def test_nobody_raises_themself(organization: Organization) -> None:
    """The endpoint's scope already forbids it; the action must forbid it as well."""
    from core.errors import Forbidden
    from organizations.actions import change_role

    member = make_membership(organization, "viewer")
    agent = make_agent(organization)
    principal = Principal.objects.get(pk=agent.pk)
    Principal.objects.filter(pk=agent.pk).update(role="member")
    as_agent = Actor(kind="agent", id=agent.pk, label="", organization=organization)

    with organization_scope(organization):
        with pytest.raises(Forbidden):
            change_role(member, actor=Actor.for_person(member), role="operator")
        with pytest.raises(Forbidden):
            change_role(principal, actor=as_agent, role="admin")


def test_the_last_owner_stays(
    organization: Organization, owner: Membership, as_owner: Client
) -> None:
    inactive = make_membership(organization, "owner", make_user(is_active=False))

    answers = [
        as_owner.delete(url(organization, owner)),
        as_owner.patch(url(organization, owner), {"role": "admin"}, "application/json"),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, "LAST_OWNER")
    assert as_owner.delete(url(organization, inactive)).status_code == 204


def test_an_owner_among_several_may_leave(
    organization: Organization, owner: Membership, as_owner: Client
) -> None:
    make_membership(organization, "owner")

    answer = as_owner.delete(url(organization, owner))

    assert answer.status_code == 204
    assert as_owner.get(url(organization)).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_leave_at_the_same_moment(client_for: ClientFor) -> None:
    organization = make_organization()
    owners = [make_membership(organization, "owner") for _ in range(4)]
    clients = [client_for(owner) for owner in owners]

    def leave(number: int) -> int:
        try:
            return int(clients[number].delete(url(organization, owners[number])).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(leave, range(4)))

    assert answers == [204, 204, 204, 409]
    assert organization.memberships.count() == 1


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_member_of_another_organization_is_unknown(
    organization: Organization,
    other_organization: Organization,
    as_owner: Client,
    method: str,
) -> None:
    foreign = make_membership(other_organization, "viewer")
    foreign_agent = make_agent(other_organization)
    other_organization.principals.filter(pk=foreign_agent.pk).update(role="member")
    unknown = Membership(id="0a1b2c3d-e4f5-6789-abcd-ef0123456789")

    answers = [
        getattr(as_owner, method)(url(place, member), {"role": "admin"}, "application/json")
        for place, member in (
            (organization, foreign),
            (organization, foreign_agent),
            (organization, unknown),
        )
    ]
    through_theirs = getattr(as_owner, method)(
        url(other_organization, foreign), {"role": "admin"}, "application/json"
    )

    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.content for answer in answers}) == 1
    assert through_theirs.json()["code"] == "ORGANIZATION_NOT_FOUND"
    foreign.refresh_from_db()
    assert foreign.role == "viewer"
