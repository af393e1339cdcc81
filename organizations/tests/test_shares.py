"""All organizations of one person take one share of a server's places, turns and budgets."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core.throttling import throttle_key
from organizations.actors import Actor
from organizations.models import Membership, Organization, User
from organizations.stream_access import Viewer
from organizations.tenancy import shares
from organizations.tenancy.shares import share_of
from organizations.tenancy.thread_slots import MAX_WAIT_SECONDS, OrganizationFlooding, ThreadSlots
from organizations.tests.factories import make_membership, make_organization, make_user


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    shares._kept.clear()
    yield
    shares._kept.clear()


def founded(founder: User, *owners: User) -> Organization:
    organization = make_organization(created_by=founder)
    for owner in (founder, *owners):
        make_membership(organization, user=owner)
    shares._kept.clear()
    return organization


def hand_on(organization: Organization) -> None:
    Membership.objects.filter(
        organization=organization, user_id=organization.created_by_id
    ).delete()
    shares._kept.clear()


@pytest.mark.django_db
def test_the_organizations_of_one_founder_have_one_share() -> None:
    eve, ada = make_user(), make_user()

    assert len({share_of(founded(eve).pk) for _ in range(3)} | {share_of(founded(ada).pk)}) == 2


@pytest.mark.django_db
def test_organizations_of_the_operator_stand_alone_whoever_is_their_member() -> None:
    ada = make_user()
    own, other = make_organization(), make_organization()
    for organization in (own, other):
        make_membership(organization, user=ada)

    assert [share_of(own.pk), share_of(other.pk)] == [own.pk, other.pk]


@pytest.mark.django_db
def test_what_was_handed_on_is_charged_neither_to_its_founder_nor_to_what_its_owner_founded() -> (
    None
):
    eve, ada = make_user(), make_user()
    handed_on, kept, of_ada = founded(eve, ada), founded(eve, ada), founded(ada)
    hand_on(handed_on)

    assert len({share_of(each.pk) for each in (handed_on, kept, of_ada)}) == 3


@pytest.mark.django_db
def test_a_founder_who_is_no_owner_any_more_does_not_answer_for_it() -> None:
    eve, ada = make_user(), make_user()
    given, own = founded(eve, ada), founded(eve)
    Membership.objects.filter(organization=given, user=eve).update(role="viewer")
    shares._kept.clear()

    assert share_of(given.pk) != share_of(own.pk) == eve.pk


@pytest.mark.django_db
def test_several_shares_take_one_query(django_assert_num_queries: Any) -> None:
    places = [founded(make_user()).pk for _ in range(3)] + [make_organization().pk]
    share_of(places[0])

    with django_assert_num_queries(1):
        found = shares.shares_of(places)

    assert found == {each: share_of(each) for each in places}


@pytest.mark.django_db
def test_handing_all_on_to_one_person_makes_no_more_shares() -> None:
    eve, friend = make_user(), make_user()
    organizations = [founded(eve, friend) for _ in range(3)]
    for organization in organizations:
        hand_on(organization)

    assert len({share_of(organization.pk) for organization in organizations}) == 1


@pytest.mark.django_db
def test_a_share_is_looked_up_once_and_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    organization = founded(make_user())
    with django_assert_num_queries(1):
        assert share_of(organization.pk) == share_of(organization.pk)

    monkeypatch.setattr(shares, "SECONDS_TO_KEEP", -1.0)
    shares._kept.clear()
    with django_assert_num_queries(2):
        assert share_of(organization.pk) == share_of(organization.pk)


@pytest.mark.django_db
def test_the_memory_for_shares_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_KEPT", 2)
    for _ in range(5):
        share_of(make_organization().pk)

    assert len(shares._kept) <= 2


@pytest.mark.django_db
def test_a_flood_from_several_organizations_of_one_person_is_one_flood() -> None:
    eve, slots = make_user(), ThreadSlots(2)
    one, other = (share_of(founded(eve).pk) for _ in range(2))
    late = MAX_WAIT_SECONDS + 0.1
    with (
        slots.hold(share_of(make_organization().pk)),
        slots.hold(one),
        slots.hold(other),
        pytest.raises(OrganizationFlooding),
        slots.hold(one, late),
    ):
        pass


@pytest.mark.django_db
def test_viewers_take_the_share_of_their_organizations_founder() -> None:
    eve = make_user()
    viewers = [viewer_in(founded(eve)) for _ in range(2)]

    assert viewers[0].organization != viewers[1].organization
    assert viewers[0].share == viewers[1].share == eve.pk
    assert "shared" not in viewers[0].members, "the database is not asked about it"


def viewer_in(organization: Organization) -> Viewer:
    membership = Membership.objects.select_related("user", "organization").get(
        organization=organization
    )
    return Viewer.of_request(Actor.for_person(membership), None)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/agents", "/api/v1/agents"])
def test_requests_hold_their_thread_in_the_share_of_the_founder(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = make_user("eve@example.com", "a long enough password")
    founded(eve)
    held: list[object] = []
    usual = ThreadSlots.hold

    def hold(self: ThreadSlots, share: Any, waited: float = 0.0) -> Any:
        held.append(share)
        return usual(self, share, waited)

    monkeypatch.setattr(ThreadSlots, "hold", hold)
    client = Client()
    if path.startswith("/api"):
        body = {"email": "eve@example.com", "password": "a long enough password"}
        tokens = client.post("/api/v1/auth/login", body, "application/json").json()
        answer = client.get(path, headers={"Authorization": f"Bearer {tokens['accessToken']}"})
    else:
        client.force_login(eve)
        answer = client.get(path, headers={"Accept": "text/html"})

    assert (answer.status_code, held) == (200, [eve.pk])


@pytest.mark.django_db
def test_costly_requests_are_counted_for_the_share() -> None:
    eve = make_user("eve@example.com", "a long enough password")
    founded(eve)
    body = {"email": "eve@example.com", "password": "a long enough password"}
    token = Client().post("/api/v1/auth/login", body, "application/json").json()["accessToken"]
    answer = Client().get("/api/v1/audit/verify", headers={"Authorization": f"Bearer {token}"})

    with connection.cursor() as cursor:
        key = throttle_key("audit.verify", eve.pk)
        cursor.execute("SELECT attempts FROM organizations_attempt WHERE key = %s", [key])
        assert (answer.status_code, cursor.fetchall()) == (200, [(1,)])
