"""People keep their session over the API, switch organizations and log out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from conftest import ClientFor
from core.throttling import REFRESHES
from organizations.models import Attempt, Membership, Organization, User
from organizations.tests.factories import make_membership, make_organization, make_user
from tokens.models import LoginSession
from tokens.tests.factories import access_token_for
from tokens.tests.people import PASSWORD, SESSION, actions_in, log_in, post, status_of

REFRESH = "/api/v1/auth/refresh"


@pytest.fixture
def member(organization: Organization) -> Membership:
    return make_membership(organization, "admin", make_user("ada@example.com", PASSWORD))


def test_a_refresh_token_brings_new_tokens(member: Membership) -> None:
    first = log_in().json()

    second = post(REFRESH, {"refreshToken": first["refreshToken"]})

    assert second.status_code == 200
    assert second.json()["refreshToken"] != first["refreshToken"]
    assert status_of(second.json()["accessToken"]) == 200


def test_a_session_refreshes_so_often_in_an_hour_and_the_token_works_after_it(
    member: Membership,
) -> None:
    text, other = log_in().json()["refreshToken"], log_in().json()["refreshToken"]
    for _ in range(REFRESHES.limit):
        text = post(REFRESH, {"refreshToken": text}).json()["refreshToken"]
    used = BlacklistedToken.objects.count()

    refused = [post(REFRESH, {"refreshToken": text}) for _ in range(3)]
    rows = BlacklistedToken.objects.count()
    elsewhere = post(REFRESH, {"refreshToken": other})
    Attempt.objects.update(started_at=F("started_at") - REFRESHES.window - timedelta(seconds=1))
    later = post(REFRESH, {"refreshToken": text})

    assert {each.status_code for each in refused} == {429}
    assert all(0 < int(each["Retry-After"]) <= 3600 for each in refused)
    assert rows == used == REFRESHES.limit
    assert (elsewhere.status_code, later.status_code) == (200, 200)


def used_ago(seconds: float) -> None:
    """Move all earlier uses of refresh tokens into the past."""
    BlacklistedToken.objects.update(blacklisted_at=F("blacklisted_at") - timedelta(seconds=seconds))


def test_a_refresh_whose_answer_was_lost_is_repeated(member: Membership) -> None:
    first = log_in().json()
    lost = post(REFRESH, {"refreshToken": first["refreshToken"]}).json()
    used_ago(25)

    again = post(REFRESH, {"refreshToken": first["refreshToken"]})

    assert again.status_code == 200
    for tokens in (lost, again.json()):
        assert status_of(tokens["accessToken"]) == 200
        assert post(REFRESH, {"refreshToken": tokens["refreshToken"]}).status_code == 200
    assert LoginSession.objects.count() == 1
    assert actions_in(member.organization) == [("session.started", "success")]


def test_a_refresh_token_used_long_after_its_first_use_ends_the_session(
    member: Membership,
) -> None:
    first = log_in().json()
    second = post(REFRESH, {"refreshToken": first["refreshToken"]}).json()
    used_ago(20)
    third = post(REFRESH, {"refreshToken": first["refreshToken"]}).json()
    used_ago(11)  # now 31 seconds after the first use, which counts

    again = post(REFRESH, {"refreshToken": first["refreshToken"]})

    assert again.status_code == 401
    assert again.json()["code"] == "UNAUTHORIZED"
    for tokens in (first, second, third):
        assert status_of(tokens["accessToken"]) == 401
        assert post(REFRESH, {"refreshToken": tokens["refreshToken"]}).status_code == 401
    assert actions_in(member.organization)[-1] == ("session.ended", "failure")


@pytest.mark.django_db(transaction=True)
def test_two_uses_at_the_same_moment_are_fine() -> None:
    make_membership(make_organization(), "admin", make_user("ada@example.com", PASSWORD))
    text = log_in().json()["refreshToken"]

    def use(_: int) -> int:
        try:
            return int(post(REFRESH, {"refreshToken": text}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(use, range(4)))

    assert answers == [200] * 4
    assert LoginSession.objects.get().ended_at is None


def test_the_text_of_a_refresh_token_is_not_stored(member: Membership) -> None:
    text = log_in().json()["refreshToken"]
    post(REFRESH, {"refreshToken": text})

    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM token_blacklist_outstandingtoken")
        stored = cursor.fetchall()

    assert stored == [("",)]


@pytest.mark.parametrize(
    "how", ["access token", "edited", "empty", "text", "another session's person"]
)
def test_what_is_no_refresh_token_is_refused(member: Membership, how: str) -> None:
    tokens = log_in().json()
    text = {
        "access token": tokens["accessToken"],
        "edited": tokens["refreshToken"][:-4] + "AAAA",
        "empty": "x",
        "text": "a.b.c",
        "another session's person": tokens["refreshToken"],
    }[how]
    if how == "another session's person":
        LoginSession.objects.update(user=make_user())

    assert post(REFRESH, {"refreshToken": text}).status_code == 401


def test_a_refresh_token_is_no_bearer_token(member: Membership) -> None:
    assert status_of(log_in().json()["refreshToken"]) == 401


def test_logging_out_ends_every_token_of_the_session_only(member: Membership) -> None:
    first, second = log_in().json(), log_in().json()

    answer = post("/api/v1/auth/logout", {}, first["accessToken"])

    assert answer.status_code == 204
    assert status_of(first["accessToken"]) == 401
    assert post(REFRESH, {"refreshToken": first["refreshToken"]}).status_code == 401
    assert status_of(second["accessToken"]) == 200
    assert actions_in(member.organization)[-1] == ("session.ended", "success")


@pytest.mark.parametrize(
    "ended", ["person", "organization", "membership", "session age", "password"]
)
def test_live_tokens_end_at_once_with(member: Membership, ended: str) -> None:
    tokens = log_in().json()
    if ended == "person":
        User.objects.update(is_active=False)
    elif ended == "organization":
        Organization.objects.filter(pk=member.organization_id).update(status="suspended")
    elif ended == "membership":
        member.delete()
    elif ended == "session age":
        LoginSession.objects.update(created_at="2020-01-01T00:00:00Z")
    else:
        member.user.set_password("another long and quiet password")
        member.user.save()

    assert status_of(tokens["accessToken"]) == 401
    assert post(REFRESH, {"refreshToken": tokens["refreshToken"]}).status_code == 401


def test_a_person_switches_between_own_organizations(
    member: Membership, other_organization: Organization
) -> None:
    make_membership(other_organization, "viewer", member.user)
    tokens = log_in().json()

    answer = post(
        "/api/v1/auth/switch",
        {"organizationId": other_organization.public_id},
        tokens["accessToken"],
    )

    assert answer.status_code == 200
    assert answer.json()["organizationId"] == other_organization.public_id
    assert answer.json()["role"] == "viewer"
    assert status_of(answer.json()["accessToken"]) == 200
    assert actions_in(other_organization) == [("session.started", "success")]


def test_nobody_switches_to_an_organization_of_others(
    member: Membership, other_organization: Organization
) -> None:
    token = log_in().json()["accessToken"]
    unknown = "org-0a1b2c3d-e4f5-6789-abcd-ef0123456789"

    foreign = post("/api/v1/auth/switch", {"organizationId": other_organization.public_id}, token)
    missing = post("/api/v1/auth/switch", {"organizationId": unknown}, token)

    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


@pytest.mark.parametrize("path", ["/api/v1/auth/logout", "/api/v1/auth/switch"])
def test_agents_have_no_session_to_end_or_switch(
    organization: Organization, client_for: ClientFor, path: str
) -> None:
    client = client_for(organization)

    assert client.post(path, {}, content_type="application/json").status_code == 403


def test_an_agent_learns_who_it_is(organization: Organization, client_for: ClientFor) -> None:
    body = client_for(organization, scopes="agents:read").get(SESSION).json()

    assert body["kind"] == "agent"
    assert body["scopes"] == ["agents:read"]
    assert body["organizations"] == [
        {"organizationId": organization.public_id, "name": organization.name}
    ]


def test_a_token_of_the_factory_is_live(member: Membership) -> None:
    assert status_of(access_token_for(member)) == 200
