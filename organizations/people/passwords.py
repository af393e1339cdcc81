"""Password checks that hash once per address, however many accounts share it.

All accounts of an address share one salt, so a password is hashed once and compared with each.
Neither the response nor its time reveals how many accounts there are.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import (
    get_hasher,
    identify_hasher,
    make_password,
    verify_password,
)
from django.utils.crypto import constant_time_compare

from core.text import comparable, normalized_password

SALT_LENGTH = 22  # 132 bits: Django's minimum, and it fits the column


class Account(Protocol):
    """The attributes of User that a password check needs."""

    @property
    def pk(self) -> Any: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def password(self) -> str: ...
    def adopt_hash(self, hashed: str) -> None: ...


AccountType = TypeVar("AccountType", bound=Account)


def whose_password(name: str, password: str, accounts: Sequence[AccountType]) -> list[AccountType]:
    """The accounts, of those with this address or short name, that have the password, in order.

    Hashes the password as it is spelled, once, even without any account. Each account whose hash
    has another algorithm, cost or salt adds one, until its next sign-in updates it.
    """
    salt = salt_of(name, accounts)
    outdated = {each.pk for each in accounts if _is_older(each.password, salt)}
    is_current = len(outdated) < len(accounts) or not accounts
    computed = make_password(password, salt=salt) if is_current else ""
    is_normalized = password == normalized_password(password)
    matching = []
    for account in accounts:
        stored = account.password
        if account.pk in outdated:
            matches = verify_password(password, stored)[0]
        else:
            matches = constant_time_compare(stored, computed)
        if not matches:
            continue
        matching.append(account)
        if account.pk in outdated or not is_normalized:
            account.adopt_hash(compute_hash(password, salt))
    return matching


def spellings_of(password: str) -> list[str]:
    """The spellings to check one after the other, each with one hash: the normalized one, and as it
    was typed, which is what an earlier version hashed."""
    return list(dict.fromkeys([normalized_password(password), password]))


def compute_hash(password: str, salt: str) -> str:
    """Hash the password. Slow on purpose: tens of milliseconds and 100 MB."""
    return make_password(normalized_password(password), salt=salt)


def salt_of(email: str, accounts: Sequence[Account]) -> str:
    """The salt of the address's oldest account, or one derived from the address.

    A random one would have to be stored for addresses without an account.
    """
    hasher = get_hasher()
    for account in sorted(accounts, key=lambda each: (each.created_at, each.pk)):
        if _algorithm(account.password) == hasher.algorithm:
            return str(hasher.decode(account.password)["salt"])
    message = b"password salt:" + comparable(email).encode()
    digest = hmac.digest(settings.SECRET_PEPPER.encode(), message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode()[:SALT_LENGTH]


def _is_older(stored: str, salt: str) -> bool:
    """Whether today's hasher would store this hash with another algorithm, cost or salt."""
    algorithm = _algorithm(stored)
    if algorithm is None:
        return False
    hasher = get_hasher(algorithm)
    return algorithm != get_hasher().algorithm or bool(
        hasher.must_update(stored) or hasher.decode(stored)["salt"] != salt
    )


def _algorithm(stored: str) -> str | None:
    """The algorithm of a stored hash, or None for text that no password opens."""
    try:
        hasher = identify_hasher(stored)
        hasher.decode(stored)
    except ValueError:  # "!" and more for no password, or nothing, or no hash
        return None
    return str(hasher.algorithm)
