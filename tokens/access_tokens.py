"""JSON Web Tokens (RFC 7519, profile RFC 9068) under simplejwt: one key ring signs and verifies.

Verification is stricter than the libraries': one spelling, the algorithm of the key, `typ`, no
repeated claim, one audience.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    TokenBackendError,
    TokenBackendExpiredToken,
    TokenError,
)
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from organizations.actors import SCOPES_OF_ROLE, Actor
from organizations.models import Membership, Organization
from tokens.keys import key_ring
from tokens.liveness import live_agent, live_person, live_resource_scopes

MAX_LENGTH = 8192
MAX_NESTING = 16
COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
UUID_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
REFRESH_TOKEN_TYPE = "rt+jwt"  # noqa: S105
REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti", "token_use"]
ACCESS_TOKEN_SECONDS = int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())
MAX_TIMESTAMP = 2**33
"""Seconds since 1970: the year 2242. A time beyond it is nothing that we wrote."""


class KeyRingBackend(TokenBackend):
    """Signs with the ring's current key and verifies with the key that `kid` names."""

    def __init__(self, header_type: str, *, audience: str | None) -> None:
        """Without an audience, `decode` leaves the receiver to its caller."""
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
        return jwt.encode(
            claims,
            key.private_key,
            algorithm=key.algorithm,
            headers={"kid": key.kid, "typ": self.header_type},
        )

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


def _object(segment: str) -> dict[str, Any]:
    """A JSON object from a token's segment; a name given twice is refused (RFC 7519 section 4)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise TokenBackendError("Token is invalid")
        return names

    try:
        text = jwt.utils.base64url_decode(segment)
        # Not left to the parser: how deep it goes differs between Python's versions.
        if text.count(b"[") + text.count(b"{") > MAX_NESTING:
            raise TokenBackendError("Token is invalid")
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise TokenBackendError("Token is invalid") from error
    if not isinstance(value, dict):
        raise TokenBackendError("Token is invalid")
    return value


def _require_times(claims: dict[str, Any]) -> None:
    """Times must be plain numbers: the libraries would take text, or fail on a huge one."""
    for name in ("exp", "iat", "nbf"):
        moment = claims.get(name, 0)
        is_number = isinstance(moment, int | float) and not isinstance(moment, bool)
        if not is_number or not 0 <= moment <= MAX_TIMESTAMP:
            raise TokenBackendError("Token is invalid")


access_backend = KeyRingBackend(ACCESS_TOKEN_TYPE, audience=settings.AUDIENCE)
resource_backend = KeyRingBackend(ACCESS_TOKEN_TYPE, audience=None)
refresh_backend = KeyRingBackend(REFRESH_TOKEN_TYPE, audience=settings.AUDIENCE)


def _uuid_claim(claims: dict[str, Any], name: str) -> UUID:
    """A claim that must be a UUID in its usual spelling."""
    value = claims.get(name)
    if not isinstance(value, str) or not UUID_FORM.fullmatch(value):
        raise TokenError("Token is invalid")
    return UUID(value)


class OwnClaims:
    """The claims that all of our tokens carry, each in its one form; TokenError for any other."""

    payload: dict[str, Any]

    def set_jti(self) -> None:
        """A UUID in its usual spelling, which is how it is looked up and shown."""
        self.payload["jti"] = str(new_token_id())

    @property
    def token_id(self) -> UUID:
        return _uuid_claim(self.payload, "jti")

    @property
    def subject_id(self) -> UUID:
        return _uuid_claim(self.payload, "sub")

    @property
    def organization_id(self) -> UUID:
        found = Organization.parse_public_id(str(self.payload.get("organization_id", "")))
        if found is None:
            raise TokenError("Token is invalid")
        return found

    @property
    def issued_at(self) -> datetime:
        return datetime.fromtimestamp(self.payload["iat"], UTC)

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.payload["exp"], UTC)


class SignedAccess(OwnClaims, AccessToken):
    """What all access tokens share. One that could be read has all its claims in the right form."""

    live_scopes: Callable[[HttpRequest], frozenset[str]]
    """What the token still allows; InvalidToken when it is no longer good."""

    @property
    def kid(self) -> str:
        """The id of the key that signed the text this token was read from."""
        return str(jwt.get_unverified_header(cast(bytes, self.token))["kid"])

    def get_token_backend(self) -> KeyRingBackend:
        return access_backend

    def verify(self) -> None:
        """The forms of the claims, beside what simplejwt checks; TokenError for a wrong one."""
        super().verify()
        self.token_id, self.subject_id, self.organization_id  # noqa: B018 - must parse
        if not isinstance(self.get("scope", ""), str):
            raise TokenError("Token is invalid")


class BearerToken(SignedAccess):
    """A token for our own API: there is a way from it to the actor."""

    live_actor: Callable[[HttpRequest], Actor]

    def live_scopes(self, request: HttpRequest) -> frozenset[str]:
        return self.live_actor(request).scopes


class ClientClaims(SignedAccess):
    """The claims of a token that an agent got for its credential."""

    def verify(self) -> None:
        super().verify()
        if self.get("client_id") != str(self.subject_id):
            raise TokenError("Token is invalid")
        self.credential_id  # noqa: B018 - must parse

    @property
    def credential_id(self) -> UUID:
        return _uuid_claim(self.payload, "credential_id")

    @property
    def resource(self) -> str:
        """The identifier of the resource that it is for; empty: our own API."""
        return ""


class AgentAccess(ClientClaims, BearerToken):
    """An agent's access token for our own API."""

    token_type = "agent"  # noqa: S105

    def live_actor(self, request: HttpRequest) -> Actor:
        return live_agent(self, request)


class ResourceAccess(ClientClaims):
    """An agent's access token for a resource. It opens nothing here: it leads to no actor."""

    token_type = "resource"  # noqa: S105

    def get_token_backend(self) -> KeyRingBackend:
        return resource_backend

    def verify(self) -> None:
        super().verify()
        audience = self.get("aud")
        if not isinstance(audience, str) or audience in {"", settings.AUDIENCE}:
            raise TokenError("Token is invalid")

    @property
    def resource(self) -> str:
        return str(self["aud"])

    def live_scopes(self, request: HttpRequest) -> frozenset[str]:
        return live_resource_scopes(self)


class PersonAccess(BearerToken):
    """A person's access token, for one organization and one login session."""

    token_type = "person"  # noqa: S105
    lifetime = settings.PERSON_TOKEN_LIFETIME

    def verify(self) -> None:
        super().verify()
        self.session_id  # noqa: B018 - must parse

    @property
    def session_id(self) -> UUID:
        return _uuid_claim(self.payload, "session_id")

    def live_actor(self, request: HttpRequest) -> Actor:
        return live_person(self, request)


class PersonRefresh(OwnClaims, RefreshToken):  # type: ignore[misc] # simplejwt: for_user
    """Rotated at each use. Its use long after the first one ends the whole login session."""

    access_token_class = PersonAccess
    no_copy_claims = (*RefreshToken.no_copy_claims, "iss", "aud")  # type: ignore[assignment]

    @property
    def access_token(self) -> PersonAccess:
        access = cast(PersonAccess, super().access_token)
        access["iat"] = self["iat"]  # they are made together
        return access

    @classmethod
    def for_session(cls, membership: Membership, session_id: UUID) -> Self:
        """The first refresh token of a login session, or of the organization it switches to."""
        refresh = cls()
        refresh["sub"] = str(membership.user_id)
        refresh["organization_id"] = membership.organization.public_id
        refresh["session_id"] = str(session_id)
        refresh["scope"] = " ".join(sorted(SCOPES_OF_ROLE[membership.role]))
        earliest = membership.organization.tokens_valid_from
        if earliest is not None and earliest > refresh.issued_at:
            refresh.set_iat(at_time=earliest)  # within the second of a reactivation
        return refresh

    @classmethod
    def read(cls, text: str) -> Self:
        """The token that the text spells, signature, type and end checked; TokenError otherwise.

        Not whether it was used before: `use` asks that, under the session's lock.
        """
        refresh = cls(text, verify=False)  # type: ignore[arg-type] # the backend verifies anyway
        refresh.verify_token_type()
        refresh.token_id, refresh.session_id  # noqa: B018 - must parse
        refresh.subject_id, refresh.organization_id  # noqa: B018
        return refresh

    def use(self, grace: timedelta) -> bool:
        """Use the token up. False when its first use is longer ago than the grace.

        simplejwt's own `blacklist` would store the token's text, which must not lie in a database.
        """
        outstanding, _ = OutstandingToken.objects.get_or_create(
            jti=self["jti"],
            defaults={"user_id": self.subject_id, "expires_at": self.expires_at},
        )
        first, _ = BlacklistedToken.objects.get_or_create(token=outstanding)
        return first.blacklisted_at > timezone.now() - grace

    @property
    def session_id(self) -> UUID:
        return _uuid_claim(self.payload, "session_id")

    def get_token_backend(self) -> KeyRingBackend:
        return refresh_backend


def sign_agent_token(
    *,
    agent_id: UUID,
    organization_id: UUID,
    credential_id: UUID,
    scope: str,
    token_id: UUID,
    issued_at: int,
    algorithm: str,
    lifetime: int = ACCESS_TOKEN_SECONDS,
    resource: str = "",
) -> str:
    """An access token (RFC 9068 section 2.2) that names its organization and credential.

    `lifetime` is in seconds. With a `resource`, that is its one receiver, and not our own API.
    """
    client_id = str(agent_id)
    kind = ResourceAccess if resource else AgentAccess
    return access_backend.encode(
        {
            "aud": resource or settings.AUDIENCE,
            "sub": client_id,
            "client_id": client_id,
            "organization_id": f"org-{organization_id}",
            "credential_id": str(credential_id),
            "scope": scope,
            "token_use": kind.token_type,
            "jti": str(token_id),
            "iat": issued_at,
            "exp": issued_at + lifetime,
        },
        algorithm,
    )


def new_token_id() -> UUID:
    """122 random bits."""
    return uuid4()
