"""A sign-in hashes once, whoever is named and however many accounts share the address.

The tests count hashes instead of time: Argon2 takes nearly all of it, and 400 pairs would take
minutes.
"""

from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.test import Client

from core.throttling import LOGIN_FAILURES
from organizations.models import Organization, User
from organizations.tests.factories import make_membership, make_organization, make_user

PASSWORD = "a long enough password"
OLDER = "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher"


class CountingHasher(MD5PasswordHasher):
    """Counts hashes instead of computing slow ones."""

    algorithm = "counting"
    hashings = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashings += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def ada(settings: Any, organization: Organization) -> User:
    settings.PASSWORD_HASHERS = [f"{__name__}.{CountingHasher.__name__}"]
    user = make_user("ada@example.com", PASSWORD)
    make_membership(organization, user=user)
    make_user("gone@example.com", PASSWORD, is_active=False)
    for number in range(3):
        unproven = make_user("many@example.com", f"{PASSWORD} {number}", email_verified_at=None)
        make_membership(organization, user=unproven)
    return user


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "wrong"),
        ("ADA@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        ("no address", "wrong"),
        ("gone@example.com", "wrong"),
        ("gone@example.com", PASSWORD),
        ("many@example.com", "wrong"),
    ],
)
def test_a_refusal_costs_one_hashing(client: Client, email: str, password: str) -> None:
    assert sign_in(client, email, password) == (401, 1)


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.com", PASSWORD), *(("Many@example.com", f"{PASSWORD} {n}") for n in range(3))],
)
def test_a_success_costs_one_hashing(client: Client, email: str, password: str) -> None:
    assert sign_in(client, email, password) == (200, 1)


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_password_that_was_stored_with_a_random_salt_costs_one_hashing(
    client: Client, ada: User, password: str
) -> None:
    User.objects.filter(pk=ada.pk).update(password=make_password(PASSWORD))

    status, hashings = sign_in(client, "ada@example.com", password)

    assert (status == 200, hashings) == (password == PASSWORD, 1)


def test_accounts_that_come_later_adopt_the_salt_of_the_first(client: Client, ada: User) -> None:
    """Otherwise a second hash would tell one account's owner that there is an older account."""
    User.objects.filter(pk=ada.pk).update(password=make_password(PASSWORD))
    other = make_user("ADA@example.com", "another long password", email_verified_at=None)
    make_membership(make_organization(), user=other)

    answers = [
        sign_in(client, "ada@example.com", password)
        for password in ("wrong", PASSWORD, "another long password")
    ]

    assert answers == [(401, 1), (200, 1), (200, 1)]


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "many@example.com"])
def test_a_password_with_two_spellings_is_two_attempts(client: Client, email: str) -> None:
    """Each has a count of its own, so no counted attempt costs more than one hash."""
    answers = [sign_in(client, email, f"wro\u0308ng {number}") for number in range(6)]

    assert answers == [(401, 2)] * 5 + [(429, 0)]


def test_a_password_that_opens_in_its_second_spelling_leaves_no_count(
    client: Client, ada: User
) -> None:
    typed = "a long enough passwo\u0308rd"
    for _ in range(2 * LOGIN_FAILURES.limit):
        User.objects.filter(pk=ada.pk).update(password=make_password(typed))
        assert sign_in(client, "ada@example.com", typed)[0] == 200


@pytest.mark.parametrize("stored", ["", "!", "!no", "plain", "counting$", "argon2$x", "0" * 32])
def test_a_stored_text_that_is_no_hash_opens_with_nothing(
    client: Client, ada: User, stored: str
) -> None:
    User.objects.filter(pk=ada.pk).update(password=stored)

    assert [sign_in(client, "ada@example.com", text) for text in (PASSWORD, stored or "x")] == [
        (401, 1)
    ] * 2


def test_a_hash_with_older_costs_still_opens_and_is_renewed(
    client: Client, ada: User, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, OLDER]
    User.objects.filter(pk=ada.pk).update(password=make_password(PASSWORD, hasher="pbkdf2_sha1"))

    assert sign_in(client, "ada@example.com", "wrong")[0] == 401
    assert sign_in(client, "ada@example.com", PASSWORD)[0] == 200

    ada.refresh_from_db()
    assert ada.password.startswith("counting$")
    assert sign_in(client, "ada@example.com", PASSWORD) == (200, 1)


def sign_in(client: Client, email: str, password: str) -> tuple[int, int]:
    """The status, and the number of passwords hashed for it."""
    CountingHasher.hashings = 0
    answer = client.post(
        "/api/v1/auth/login",
        {"email": email, "password": password},
        content_type="application/json",
    )
    return answer.status_code, CountingHasher.hashings
