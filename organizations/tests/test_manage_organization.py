"""Administrators change their own organization, but not its plan or status."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from core.errors import NotFound
from organizations.actions import (
    delete_organization,
    reactivate_organization,
    suspend_organization,
)
from organizations.actions.organizations import OrganizationLimitReached, create_organization
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, make_user

LIST = "/api/v1/organizations"
UNKNOWN = "org-0a1b2c3d-e4f5-6789-abcd-ef0123456789"


def url(organization: Organization) -> str:
    return f"{LIST}/{organization.public_id}"


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization, "owner")


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))


def test_an_organization_has_these_fields(owner: Membership, client_for: ClientFor) -> None:
    organization = owner.organization

    body = client_for(owner).get(url(organization)).json()

    assert body.pop("createdAt") < body.pop("updatedAt")
    assert body == {
        "organizationId": organization.public_id,
        "name": "Northwind Labs",
        "slug": organization.slug,
        "planTier": "enterprise",
        "maxAgents": 100,
        "maxTokensPerMonth": None,
        "status": "active",
        "signingAlgorithm": "ES256",
        "timeZone": "UTC",
        "executionRetentionDays": None,
    }


def test_a_person_lists_own_organizations_only(
    owner: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    second = make_membership(make_organization("Fabrikam"), "viewer", owner.user).organization
    make_membership(make_organization(status="suspended"), "owner", owner.user)

    body = client_for(owner).get(LIST).json()

    assert body["total"] == 2
    assert [item["organizationId"] for item in body["data"]] == [
        owner.organization.public_id,
        second.public_id,
    ]


def test_an_agent_lists_its_own(
    organization: Organization, other_organization: Organization, client_for: ClientFor
) -> None:
    body = client_for(administrator(organization)).get(LIST).json()

    assert [item["organizationId"] for item in body["data"]] == [organization.public_id]


def administrator(organization: Organization) -> Agent:
    agent = make_agent(organization, scopes=["admin:orgs"])
    organization.principals.filter(pk=agent.pk).update(role="admin")
    return agent


@pytest.mark.parametrize("role", ["", "member"])
def test_the_scope_alone_makes_no_agent_an_administrator(
    role: str, organization: Organization, client_for: ClientFor
) -> None:
    agent = administrator(organization)
    organization.principals.filter(pk=agent.pk).update(role=role)

    assert client_for(agent).get(LIST).status_code == 403


def test_a_person_founds_an_organization_and_owns_it(
    owner: Membership, client_for: ClientFor
) -> None:
    answer = client_for(owner).post(
        LIST, {"name": "Fabrikam & Söhne", "timeZone": "Europe/Berlin"}, "application/json"
    )

    assert answer.status_code == 201
    assert answer.json()["slug"] == "fabrikam-sohne"
    assert answer.json()["planTier"] == "free"
    founded = Organization.objects.get(slug="fabrikam-sohne")
    assert founded.memberships.get().user == owner.user
    assert founded.memberships.get().role == "owner"
    assert actions_in(founded) == ["org.created"]


def test_a_name_that_makes_no_slug_gets_one(owner: Membership, client_for: ClientFor) -> None:
    slugs = {
        client_for(owner).post(LIST, {"name": name}, "application/json").json()["slug"]
        for name in ("日本", "--")
    }

    assert len(slugs) == 2
    assert all(slug.startswith("organization-") for slug in slugs)


def test_an_agent_founds_nothing(organization: Organization, client_for: ClientFor) -> None:
    client = client_for(administrator(organization))

    assert client.post(LIST, {"name": "Fabrikam"}, "application/json").status_code == 403


def found(client: Client, name: str = "One more") -> Any:
    return client.post(LIST, {"name": name}, "application/json")


def test_a_person_creates_at_most_twenty_organizations_even_if_they_leave(
    owner: Membership, client_for: ClientFor
) -> None:
    client = client_for(owner)
    answers = []
    for _ in range(21):
        answers.append(found(client))
        Membership.objects.filter(user=owner.user).exclude(pk=owner.pk).delete()

    assert [answer.status_code for answer in answers] == [201] * 20 + [409]
    assert answers[-1].json()["code"] == "ORGANIZATION_LIMIT_EXCEEDED"


def test_deleted_organizations_stop_counting_after_thirty_days(
    owner: Membership, client_for: ClientFor, time_machine: Any
) -> None:
    client = client_for(owner)
    for _ in range(20):
        found(client)
    first = Organization.objects.filter(created_by=owner.user).first()
    assert first is not None
    actor = Actor.for_system(first, "test")
    with organization_scope(first):
        delete_organization(first, actor=actor)

    assert found(client).json()["code"] == "ORGANIZATION_LIMIT_EXCEEDED"
    real = timezone.now()
    time_machine.move_to(real + timedelta(days=40))  # the clock of one process
    with pytest.raises(OrganizationLimitReached):
        create_organization(owner.user, name="One more")
    time_machine.move_to(real)
    before = timezone.now() - timedelta(days=30, minutes=1)
    Organization.objects.filter(pk=first.pk).update(updated_at=before)

    assert found(client).status_code == 201


def test_organizations_created_by_others_do_not_count(
    owner: Membership, client_for: ClientFor
) -> None:
    for _ in range(25):
        make_membership(make_organization(created_by=make_user()), "owner", owner.user)

    assert found(client_for(owner)).status_code == 201


def test_an_administrator_changes_it(owner: Membership, client_for: ClientFor) -> None:
    changes = {
        "name": "Northwind",
        "slug": "northwind",
        "timeZone": "America/New_York",
        "signingAlgorithm": "RS256",
    }

    answer = client_for(owner).patch(url(owner.organization), changes, "application/json")

    assert answer.status_code == 200
    assert answer.json().items() >= changes.items()
    assert actions_in(owner.organization) == ["org.updated"]


def test_a_change_to_the_same_is_no_event(owner: Membership, client_for: ClientFor) -> None:
    client_for(owner).patch(url(owner.organization), {"name": "Northwind Labs"}, "application/json")

    assert actions_in(owner.organization) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"planTier": "enterprise"}, "planTier"),
        ({"maxAgents": 1000}, "maxAgents"),
        ({"maxTokensPerMonth": None}, "maxTokensPerMonth"),
        ({"status": "active"}, "status"),
        ({"organizationId": UNKNOWN}, "organizationId"),
        ({"createdAt": "2026-01-01T00:00:00Z"}, "createdAt"),
        ({"plan_tier": "pro"}, "plan_tier"),
        ({"name": "x"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "right-to-left \u202e mark"}, "name"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"slug": "Upper"}, "slug"),
        ({"slug": "x"}, "slug"),
        ({"slug": "x" * 51}, "slug"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"timeZone": "localtime"}, "timeZone"),
        ({"timeZone": ""}, "timeZone"),
        ({"signingAlgorithm": "none"}, "signingAlgorithm"),
    ],
)
def test_a_bad_change_names_the_field(
    owner: Membership, client_for: ClientFor, body: dict[str, Any], field: str
) -> None:
    answer = client_for(owner).patch(url(owner.organization), body, "application/json")

    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert list(answer.json()["details"]) == [field]


def test_a_slug_does_not_tell_whether_another_organization_has_it(
    owner: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    client = client_for(owner)
    Organization.objects.filter(pk=other_organization.pk).update(slug="contoso")
    for slug in ("contoso", "nobodys"):
        changed = client.patch(url(owner.organization), {"slug": slug}, "application/json")
        named = client.post(LIST, {"name": "Fabrikam", "slug": slug}, "application/json")
        called = client.post(LIST, {"name": slug.capitalize()}, "application/json")

        assert (changed.status_code, named.status_code, called.status_code) == (200, 201, 201)
        answered = [answer.json()["slug"] for answer in (changed, named, called)]
        assert answered == [slug] * 3


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_another_organization_is_unknown(
    owner: Membership, other_organization: Organization, client_for: ClientFor, method: str
) -> None:
    make_membership(other_organization, "owner", owner.user)  # not even with a second membership
    client = client_for(owner)

    foreign = getattr(client, method)(url(other_organization), {}, "application/json")
    unknown = getattr(client, method)(f"{LIST}/{UNKNOWN}", {}, "application/json")
    malformed = getattr(client, method)(f"{LIST}/{owner.organization.pk}", {}, "application/json")

    assert foreign.status_code == unknown.status_code == malformed.status_code == 404
    assert foreign.content == unknown.content == malformed.content
    other_organization.refresh_from_db()
    assert other_organization.status == "active"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_others_of_the_organization_may_not(
    organization: Organization, client_for: ClientFor, role: str
) -> None:
    client = client_for(make_membership(organization, role))

    assert client.get(LIST).status_code == 403
    assert client.patch(url(organization), {}, "application/json").status_code == 403


def test_an_organization_with_active_agents_is_not_deleted(
    owner: Membership, client_for: ClientFor
) -> None:
    make_agent(owner.organization)

    answer = client_for(owner).delete(url(owner.organization))

    assert answer.status_code == 409
    assert answer.json()["code"] == "ORGANIZATION_HAS_ACTIVE_AGENTS"
    owner.organization.refresh_from_db()
    assert owner.organization.status == "active"
    assert actions_in(owner.organization) == []


def test_a_deleted_organization_is_over(
    owner: Membership, other_organization: Organization, client_for: ClientFor
) -> None:
    make_agent(owner.organization, status="suspended")
    make_agent(other_organization)
    client = client_for(owner)

    answer = client.delete(url(owner.organization))

    assert answer.status_code == 204
    assert client.get(LIST).status_code == 401
    assert actions_in(owner.organization) == ["org.deleted"]


def test_only_an_owner_deletes(organization: Organization, client_for: ClientFor) -> None:
    for subject in (make_membership(organization, "admin"), administrator(organization)):
        assert client_for(subject).delete(url(organization)).status_code == 403


def test_an_agent_that_lost_its_admin_role_loses_the_scope_of_its_live_token(
    organization: Organization, client_for: ClientFor
) -> None:
    agent = administrator(organization)
    client = client_for(agent)
    before = client.get(url(organization)).status_code

    organization.principals.filter(pk=agent.pk).update(role="member")

    assert (before, client.get(url(organization)).status_code) == (200, 403)


def test_the_list_takes_a_fixed_number_of_queries(
    owner: Membership, client_for: ClientFor, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        make_membership(make_organization(), "viewer", owner.user)
    client = client_for(owner)

    with django_assert_num_queries(7):
        client.get(LIST)


def test_a_person_without_an_organization_makes_one(db: None) -> None:
    from organizations.actions import create_organization

    membership = create_organization(make_user(), name="Fabrikam")

    assert actions_in(membership.organization) == ["org.created"]


@pytest.mark.parametrize("change", [suspend_organization, reactivate_organization])
def test_a_deleted_organization_does_not_come_back(organization: Organization, change: Any) -> None:
    """Staff may have opened its page before it was deleted."""
    read_before = Organization.objects.get(pk=organization.pk)
    system = Actor.for_system(organization, "staff")
    with organization_scope(organization):
        delete_organization(organization, actor=system)

        with pytest.raises(NotFound):
            change(read_before, actor=system)

    assert Organization.objects.get(pk=organization.pk).status == Organization.Status.DELETED
