"""The token classes and their claims: tokens of agents, for resources, and of people."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast
from uuid import UUID

import jwt
from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import (
    TokenError,
)
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from core.database_clock import ago, database_time
from core.ids import random_id
from organizations.actors import SCOPES_OF_ROLE, Actor
from organizations.models import Membership, Organization
from tokens.liveness import live_agent, live_person, live_resource_scopes
from tokens.token_backend import (
    KeyRingBackend,
    access_backend,
    refresh_backend,
    resource_backend,
)

UUID_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MAX_GENERATION = 2**31 - 1
ACCESS_TOKEN_SECONDS = int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())


def _uuid_claim(claims: dict[str, Any], name: str) -> UUID:
    """A claim that must be a UUID in canonical form. Raise TokenError otherwise."""
    value = claims.get(name)
    if not isinstance(value, str) or not UUID_FORM.fullmatch(value):
        raise TokenError("Token is invalid")
    return UUID(value)


class OwnClaims:
    """The claims that all our tokens have.

    Raise TokenError for one that is not in canonical form.
    """

    payload: dict[str, Any]

    def set_jti(self) -> None:
        """Set a UUID in canonical form, in which it is looked up and shown."""
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
    def generation(self) -> int | None:
        """The generation of tokens it belongs to, or None for one of a release before these.

        Every reactivation of the organization, and of an agent that it is for, begins another.
        """
        value = self.payload.get("generation")
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value <= MAX_GENERATION):
            raise TokenError("Token is invalid")
        return cast("int | None", value)

    @property
    def issued_at(self) -> datetime:
        return datetime.fromtimestamp(self.payload["iat"], UTC)

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.payload["exp"], UTC)


class SignedAccess(OwnClaims, AccessToken):
    """The base of all access tokens. Reading one validates the form of all its claims."""

    live_scopes: Callable[[HttpRequest], frozenset[str]]
    """The scopes the token still grants. Raise InvalidToken if it is no longer valid."""

    @property
    def kid(self) -> str:
        """The id of the key that signed this token."""
        return str(jwt.get_unverified_header(cast(bytes, self.token))["kid"])

    def get_token_backend(self) -> KeyRingBackend:
        return access_backend

    def verify(self) -> None:
        """Check the form of our claims as well. Raise TokenError for an invalid one."""
        super().verify()
        self.token_id, self.subject_id, self.organization_id  # noqa: B018 - must parse
        self.generation  # noqa: B018
        if not isinstance(self.get("scope", ""), str):
            raise TokenError("Token is invalid")


class BearerToken(SignedAccess):
    """A token for AgentIdP's API, which has an actor."""

    live_actor: Callable[[HttpRequest], Actor]

    def live_scopes(self, request: HttpRequest) -> frozenset[str]:
        return self.live_actor(request).scopes


class ClientClaims(SignedAccess):
    """The claims of a token that an agent obtained with a credential."""

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
        """The identifier of the token's resource, or "" for AgentIdP's API."""
        return ""


class AgentAccess(ClientClaims, BearerToken):
    """An agent's access token for AgentIdP's API."""

    token_type = "agent"  # noqa: S105

    def live_actor(self, request: HttpRequest) -> Actor:
        return live_agent(self, request)


class ResourceAccess(ClientClaims):
    """An agent's access token for a resource. AgentIdP's API refuses it, since it has no actor."""

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
    """A refresh token, rotated at each use.

    A second use after the grace period ends the login session.
    """

    access_token_class = PersonAccess
    no_copy_claims = (*RefreshToken.no_copy_claims, "iss", "aud")  # type: ignore[assignment]

    @property
    def access_token(self) -> PersonAccess:
        access = cast(PersonAccess, super().access_token)
        access["iat"] = self["iat"]  # both are issued at the same time
        return access

    @classmethod
    def for_session(cls, membership: Membership, session_id: UUID) -> Self:
        """The first refresh token of a login session, or of the organization it switches to."""
        refresh = cls()
        refresh.current_time = database_time()  # its memberships are dated by that clock
        refresh.set_exp(from_time=refresh.current_time)
        refresh.set_iat(at_time=refresh.current_time)
        refresh["sub"] = str(membership.user_id)
        refresh["organization_id"] = membership.organization.public_id
        refresh["session_id"] = str(session_id)
        refresh["scope"] = " ".join(sorted(SCOPES_OF_ROLE[membership.role]))
        refresh["generation"] = membership.organization.token_generation
        return refresh

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a refresh token and check signature, type and expiry.

        Raise TokenError if one fails. It may have been used before: use() checks that while the
        session is locked.
        """
        refresh = cls(text, verify=False)  # type: ignore[arg-type] # the backend verifies anyway
        refresh.verify_token_type()
        refresh.token_id, refresh.session_id  # noqa: B018 - must parse
        refresh.subject_id, refresh.organization_id, refresh.generation  # noqa: B018
        return refresh

    def use(self, grace: timedelta) -> bool:
        """Mark the token as used. Returns False if its first use was longer ago than `grace`.

        simplejwt's own `blacklist` would store the token itself, which must not be in the database.
        """
        outstanding, _ = OutstandingToken.objects.get_or_create(
            jti=self["jti"],
            defaults={"user_id": self.subject_id, "expires_at": self.expires_at},
        )
        first, is_new = BlacklistedToken.objects.get_or_create(token=outstanding)
        uses = BlacklistedToken.objects.filter(pk=first.pk)
        if is_new:
            uses.update(blacklisted_at=Now())  # simplejwt writes the time of this process
            return True
        # A time in the future is of a clock that was ahead then: the grace must not last longer.
        return uses.filter(blacklisted_at__gt=ago(grace), blacklisted_at__lt=Now() + grace).exists()

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
    generation: int,
    algorithm: str,
    lifetime: int = ACCESS_TOKEN_SECONDS,
    resource: str = "",
) -> str:
    """A signed access token (RFC 9068 section 2.2) that names its organization and credential.

    `generation` is the sum of its agent's and its organization's. `lifetime` is in seconds. With a
    `resource`, the token is only for that one, not for AgentIdP's API.
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
            "generation": generation,
            "iat": issued_at,
            "exp": issued_at + lifetime,
        },
        algorithm,
    )


def new_token_id() -> UUID:
    """A random UUID with 122 random bits."""
    return random_id()
