"""Authenticates browser sessions for the REST API, which the pages' own scripts call."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from core.addresses import client_address
from organizations.actors import Actor
from organizations.models import Membership
from organizations.page_sessions import chosen_membership


@dataclass(frozen=True)
class PageSession:
    """A person's browser session, with the organization they chose."""

    membership: Membership
    session_key: str

    @property
    def organization_id(self) -> UUID:
        found: UUID = self.membership.organization_id
        return found

    def live_actor(self, request: HttpRequest) -> Actor:
        """The actor. Always live, because every request reads session, person and membership
        again."""
        return Actor.for_person(
            self.membership,
            ip_address=client_address(request),
            user_agent=request.headers.get("User-Agent", ""),
        )


class PageSessionAuthentication(SessionAuthentication):
    """Authenticates by the browser session; unsafe methods also need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        membership = chosen_membership(request._request) if found else None
        if found is None or membership is None:
            return None
        return found[0], PageSession(membership, request._request.session.session_key or "")
