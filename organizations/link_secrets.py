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
    message = f"{purpose}:{secret}".encode()
    return hmac.digest(settings.SECRET_PEPPER.encode(), message, hashlib.sha256)


def is_secret(text: str) -> bool:
    return len(text) == SECRET_LENGTH and text.isascii()
