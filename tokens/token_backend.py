"""The simplejwt backend: signs and verifies JWTs (RFC 7519, RFC 9068) with the key ring.

Verification is stricter than the libraries': one spelling, the key's own algorithm, `typ`, no
repeated claim and a single audience.
"""

import json
import re
from functools import lru_cache
from typing import Any

import jwt
import orjson
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    TokenBackendError,
    TokenBackendExpiredToken,
)

from tokens.keys import key_ring

MAX_LENGTH = 8192
MAX_NESTING = 16
COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
REFRESH_TOKEN_TYPE = "rt+jwt"  # noqa: S105
ALGORITHMS = jwt.algorithms.get_default_algorithms()
REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti", "token_use"]
MAX_TIMESTAMP = 2**33
"""Seconds since 1970, in the year 2242. We issue no later time."""


class KeyRingBackend(TokenBackend):
    """Signs with the ring's current key and verifies with the key named by `kid`."""

    def __init__(self, header_type: str, *, audience: str | None) -> None:
        """Without an audience, `decode` leaves checking it to its caller."""
        super().__init__(
            "ES256",
            signing_key="",
            audience=audience,
            issuer=settings.ISSUER,
            leeway=settings.CLOCK_LEEWAY,
        )
        self.header_type = header_type

    def encode(self, payload: dict[str, Any], algorithm: str = "ES256") -> str:
        key = key_ring.signing_key(algorithm)
        claims = {"aud": settings.AUDIENCE, **payload, "iss": settings.ISSUER}
        signed = (
            _protected_header(key.algorithm, key.kid, self.header_type) + b"." + _segment(claims)
        )
        signature = ALGORITHMS[key.algorithm].sign(signed, key.private_key)
        return (signed + b"." + jwt.utils.base64url_encode(signature)).decode()

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        text = token.decode("ascii", "replace") if isinstance(token, bytes) else str(token)
        if len(text) > MAX_LENGTH or not COMPACT_FORM.fullmatch(text):
            raise TokenBackendError("Token is invalid")
        protected, payload, _ = text.split(".")
        header = _object(protected)
        kid = header.get("kid")
        key = key_ring.by_kid(kid) if isinstance(kid, str) else None
        if (
            key is None
            or header.get("alg") != key.algorithm
            or header.get("typ") != self.header_type
            or not header.keys() <= {"alg", "typ", "kid"}
        ):
            raise TokenBackendError("Token is invalid")
        _require_times(_object(payload))
        try:
            return jwt.decode(
                text,
                key.public_key,
                algorithms=[key.algorithm],
                issuer=settings.ISSUER,
                audience=self.audience,
                leeway=settings.CLOCK_LEEWAY,
                options={
                    "require": REQUIRED_CLAIMS,
                    "strict_aud": True,
                    "verify_aud": self.audience is not None,
                },
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("Token is expired") from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise TokenBackendError("Token is invalid") from error


@lru_cache(maxsize=64)
def _protected_header(algorithm: str, kid: str, header_type: str) -> bytes:
    """A token's header. Cached, because PyJWT would rebuild and check it for every token."""
    return _segment({"alg": algorithm, "kid": kid, "typ": header_type})


def _segment(value: dict[str, Any]) -> bytes:
    return jwt.utils.base64url_encode(orjson.dumps(value))


def _object(segment: str) -> dict[str, Any]:
    """Decode a segment into a JSON object.

    Raise TokenBackendError for a repeated name (RFC 7519 section 4).
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise TokenBackendError("Token is invalid")
        return names

    try:
        text = jwt.utils.base64url_decode(segment)
        # Checked here, because the parser's recursion limit differs between Python versions.
        if text.count(b"[") + text.count(b"{") > MAX_NESTING:
            raise TokenBackendError("Token is invalid")
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise TokenBackendError("Token is invalid") from error
    if not isinstance(value, dict):
        raise TokenBackendError("Token is invalid")
    return value


def _require_times(claims: dict[str, Any]) -> None:
    """Raise TokenBackendError unless all times are plain numbers: the libraries would accept text,
    or fail on huge ones."""
    for name in ("exp", "iat", "nbf"):
        moment = claims.get(name, 0)
        is_number = isinstance(moment, int | float) and not isinstance(moment, bool)
        if not is_number or not 0 <= moment <= MAX_TIMESTAMP:
            raise TokenBackendError("Token is invalid")


access_backend = KeyRingBackend(ACCESS_TOKEN_TYPE, audience=settings.AUDIENCE)
resource_backend = KeyRingBackend(ACCESS_TOKEN_TYPE, audience=None)
refresh_backend = KeyRingBackend(REFRESH_TOKEN_TYPE, audience=settings.AUDIENCE)
