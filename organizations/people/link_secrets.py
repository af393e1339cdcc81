"""The secrets of links: 256 random bits, of which the database keeps a MAC."""

import hashlib
import hmac
import secrets

from django.conf import settings

SECRET_LENGTH = 43  # 32 random bytes in base64


def new_secret(purpose: str) -> tuple[str, bytes]:
    """A secret, to be shown or mailed once, and what to store of it."""
    secret = secrets.token_urlsafe(32)
    return secret, mac_of(purpose, secret)


def mac_of(purpose: str, secret: str) -> bytes:
    """HMAC-SHA-256 under the server's pepper; the purpose keeps different secrets apart."""
    return macs_of(purpose, secret)[0]


def macs_of(purpose: str, secret: str) -> list[bytes]:
    """The secret's MAC under each pepper that is accepted, the present one first."""
    message = f"{purpose}:{secret}".encode()
    peppers = [settings.SECRET_PEPPER, *settings.SECRET_PEPPER_FALLBACKS]
    return [hmac.digest(pepper.encode(), message, hashlib.sha256) for pepper in peppers]


def is_secret(text: str) -> bool:
    return len(text) == SECRET_LENGTH and text.isascii()
