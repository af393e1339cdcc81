"""Secrets of links: 256 random bits, stored as a MAC."""

import hashlib
import hmac
import secrets

from django.conf import settings

SECRET_LENGTH = 43  # 32 random bytes in base64


def new_secret(purpose: str) -> tuple[str, bytes]:
    """A new secret, to be shown or mailed once, and its MAC, to be stored."""
    secret = secrets.token_urlsafe(32)
    return secret, mac_of(purpose, secret)


def mac_of(purpose: str, secret: str) -> bytes:
    """HMAC-SHA-256 with the server's pepper; `purpose` separates secrets of different kinds."""
    return macs_of(purpose, secret)[0]


def macs_of(purpose: str, secret: str) -> list[bytes]:
    """The secret's MAC under each accepted pepper, the current one first."""
    message = f"{purpose}:{secret}".encode()
    peppers = [settings.SECRET_PEPPER, *settings.SECRET_PEPPER_FALLBACKS]
    return [hmac.digest(pepper.encode(), message, hashlib.sha256) for pepper in peppers]


def is_secret(text: str) -> bool:
    return len(text) == SECRET_LENGTH and text.isascii()
