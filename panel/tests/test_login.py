"""Keys for kodosumi's clients: by JSON, by form and, in the demonstration, by URL."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.test import Client

from executions.tests.factories import make_execution
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership, make_user
from tokens.access_tokens import PersonAccess
from tokens.models import LoginSession
from tokens.sessions import KEY_LIFETIME

PASSWORD = "correct horse battery staple"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
]


@pytest.fixture
def person(organization: Organization) -> Membership:
    user = make_user("ada@example.com", PASSWORD, username="ada")
    return make_membership(organization, "operator", user)


def by_json(client: Client, **fields: Any) -> Any:
    return client.post("/api/login", {"name": "ada", "password": PASSWORD} | fields, JSON)


def by_form(client: Client, **fields: Any) -> Any:
    sent = urlencode({"name": "ada", "password": PASSWORD} | fields)
    return client.post("/login", sent, content_type=FORM)


DOORS = [by_json, by_form]


@pytest.mark.parametrize("door", DOORS)
def test_the_key_opens_what_the_person_may_see(door: Any, person: Membership) -> None:
    execution = make_execution(person.organization)

    answer = door(Client(enforce_csrf_checks=True))

    body = answer.json()
    assert body.keys() == {"name", "id", "KODOSUMI_API_KEY"}
    assert (body["name"], body["id"]) == ("ada", str(person.user_id))
    assert "no-store" in answer["Cache-Control"]
    path, key = f"/outputs/status/{execution.fid}", body["KODOSUMI_API_KEY"]
    for client in (
        Client(headers={"KODOSUMI_API_KEY": key}),
        Client(headers={"Authorization": f"Bearer {key}"}),
        with_cookie(key),
    ):
        assert client.get(path).json()["fid"] == execution.fid


def with_cookie(key: str, **headers: str) -> Client:
    client = Client(enforce_csrf_checks=True, headers=headers)
    client.cookies["kodosumi_jwt"] = key
    return client


@pytest.mark.parametrize("door", DOORS)
def test_scripts_and_other_sites_do_not_get_the_cookie(
    door: Any, person: Membership, settings: LazySettings
) -> None:
    settings.SESSION_COOKIE_SECURE = True

    cookie = door(Client()).cookies["kodosumi_jwt"]

    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["max-age"]) == ("/", KEY_LIFETIME.total_seconds())


def test_a_key_lives_for_hours_and_ends_with_its_session(person: Membership) -> None:
    key = by_json(Client()).json()["KODOSUMI_API_KEY"]
    token = PersonAccess(key)
    assert token["exp"] - token["iat"] == KEY_LIFETIME.total_seconds() == 12 * 3600
    client = Client(headers={"Authorization": f"Bearer {key}"})

    ended = client.post("/api/v1/auth/logout")

    assert ended.status_code == 204
    for without in (client, with_cookie(key), Client(headers={"KODOSUMI_API_KEY": key})):
        assert without.get("/timeline/list").status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_can_neither_sign_in_nor_use_the_cookie(
    headers: dict[str, str], person: Membership
) -> None:
    execution = make_execution(person.organization)
    key = by_json(Client()).json()["KODOSUMI_API_KEY"]
    sessions = LoginSession.objects.count()

    for door in DOORS:
        assert door(Client(headers=headers)).status_code == 403
    answer = with_cookie(key, **headers).delete(f"/outputs/{execution.fid}")

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert LoginSession.objects.count() == sessions


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]
)
def test_programs_and_our_own_pages_can_use_the_cookie(
    headers: dict[str, str], person: Membership
) -> None:
    execution = make_execution(person.organization)
    key = by_json(Client(headers=headers)).json()["KODOSUMI_API_KEY"]

    answer = with_cookie(key, **headers).delete(f"/outputs/{execution.fid}")

    assert answer.status_code == 204


@pytest.mark.parametrize("door", DOORS)
def test_a_redirect_stays_within_the_site(door: Any, person: Membership) -> None:
    answer = door(Client(), redirect="/executions?hours=24")

    assert (answer.status_code, answer["Location"]) == (302, "/executions?hours=24")
    assert "kodosumi_jwt" in answer.cookies


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "x"]
)
def test_a_redirect_to_elsewhere_is_refused_by_name(
    door: Any, target: str, person: Membership
) -> None:
    answer = door(Client(), redirect=target)

    assert (answer.status_code, [*answer.json()["details"]]) == (400, ["redirect"])
    assert not answer.cookies


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_password_sets_no_cookie(door: Any, person: Membership) -> None:
    answer = door(Client(), password="wrong")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert not answer.cookies


def test_an_unknown_field_is_refused_by_name(person: Membership) -> None:
    for door in DOORS:
        answer = door(Client(), remember="yes")

        assert (answer.status_code, [*answer.json()["details"]]) == (400, ["remember"])


def test_a_key_in_a_cookie_does_not_disturb_the_pages_of_a_signed_in_person(
    person: Membership,
) -> None:
    key = by_json(Client()).json()["KODOSUMI_API_KEY"]
    Client(headers={"Authorization": f"Bearer {key}"}).post("/api/v1/auth/logout")
    browser = with_cookie(key)
    browser.force_login(person.user)

    assert browser.get("/api/dashboard/running-agents").status_code == 200


def test_only_the_demonstration_takes_a_password_from_the_url(
    person: Membership, settings: LazySettings
) -> None:
    path = "/login?" + urlencode({"name": "ada", "password": PASSWORD})

    settings.IS_DEMO = False
    page = Client().get(path)
    settings.IS_DEMO = True
    key = Client().get(path)

    assert "<form" in page.content.decode()
    assert not LoginSession.objects.exclude(user=person.user).exists()
    assert key.json()["name"] == "ada"


def test_the_page_still_needs_the_token_of_its_form(person: Membership) -> None:
    answer = Client(enforce_csrf_checks=True).post("/login", {"email": "ada", "password": PASSWORD})

    assert answer.status_code == 403
