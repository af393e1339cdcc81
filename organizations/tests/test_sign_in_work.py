"""A refused sign-in costs one hashing, whoever was named: its time tells nothing (S121).

Counted, not timed: Argon2 is nearly all of the time, and 400 pairs of it would take minutes.
"""

from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client

from organizations.models import Organization, User
from organizations.tests.factories import make_membership, make_user

PASSWORD = "a long enough password"


class CountingHasher(MD5PasswordHasher):
    """Counts what would be slow."""

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
    ],
)
def test_a_refusal_costs_one_hashing(client: Client, email: str, password: str) -> None:
    CountingHasher.hashings = 0

    answer = client.post(
        "/api/v1/auth/login",
        {"email": email, "password": password},
        content_type="application/json",
    )

    assert answer.status_code == 401
    assert CountingHasher.hashings == 1
