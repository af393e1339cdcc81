"""Token introspection (RFC 7662)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken

from core.throttling import Quota, count_attempt, throttle_key
from tokens.access_tokens import SignedAccess
from tokens.actions import introspect_token
from tokens.oauth.errors import NO_STORE
from tokens.oauth.presented_tokens import PresentedTokenViewSet, read_token, wanted_token
from tokens.serializers import IntrospectionSerializer, OAuthErrorSerializer, TokenFormSerializer

INACTIVE_RESPONSES = Quota(limit=1000, window=timedelta(minutes=1))


@extend_schema(tags=["Tokens"])
class IntrospectionViewSet(PresentedTokenViewSet):
    required_scopes = {"introspect": ("tokens:read",)}

    @extend_schema(
        request={"application/x-www-form-urlencoded": TokenFormSerializer},
        responses={
            200: IntrospectionSerializer,
            (400, "application/json"): OAuthErrorSerializer,
        },
    )
    def introspect(self, request: Request) -> Response:
        """Tell whether a token is active, with its claims. Any other is reported as inactive."""
        token = read_token(wanted_token(request))
        scopes = _live_scopes(token, self.organization.pk, request)
        if token is None or scopes is None:
            count_attempt(
                throttle_key("introspect", self.organization.pk, self.actor.id), INACTIVE_RESPONSES
            )
            return Response({"active": False}, headers=NO_STORE)
        introspect_token(token, actor=self.actor)
        return Response(_facts(token, scopes), headers=NO_STORE)


def _live_scopes(
    token: SignedAccess | None, organization_id: UUID, request: Request
) -> frozenset[str] | None:
    """The scopes that a live token of the organization still grants. None for any other token."""
    if token is None or token.organization_id != organization_id:
        return None
    try:
        return token.live_scopes(request._request)
    except InvalidToken:
        return None


def _facts(token: SignedAccess, scopes: frozenset[str]) -> dict[str, Any]:
    """The response of RFC 7662 section 2.2. `scope` contains only scopes the token still grants."""
    names = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "organization_id")
    facts = {name: token[name] for name in names if name in token}
    facts["scope"] = " ".join(name for name in token.get("scope", "").split() if name in scopes)
    return {"active": True, "token_type": "Bearer", **facts}
