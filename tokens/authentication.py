"""Bearer authentication of people and agents, through one door (RFC 6750)."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken

from core.errors import InvalidValue, bearer_challenge
from tokens.access_tokens import BearerToken


class PresentedToken:
    """Stands for the caller until the view has entered its organization and found the actor."""

    is_authenticated = True
    is_active = True
    pk = None


class BearerAuthentication(JWTAuthentication):
    """Checks the signature only. Whether the token is live is asked inside its organization."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, text = header.strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        if request.content_type == "application/x-www-form-urlencoded" and (
            "access_token" in request._request.POST
        ):
            raise InvalidValue("Send the token once: in the Authorization header.")
        return self.read(text)

    def read(self, text: str) -> tuple[Any, Any] | None:
        """Nobody for an empty text; InvalidToken for one that is no token of ours."""
        text = text.strip()
        if not text:
            return None
        try:
            token = cast(BearerToken, self.get_validated_token(text.encode("latin-1", "replace")))
        except InvalidToken as error:
            raise InvalidToken("The token is not valid.") from error
        return PresentedToken(), token

    def authenticate_header(self, request: Request) -> str:
        return bearer_challenge()


class KeyHeaderAuthentication(BearerAuthentication):
    """The same token in kodosumi's header, KODOSUMI_API_KEY.

    Many servers and proxies drop names with underscores: KODOSUMI-API-KEY
    arrives everywhere.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        return self.read(request.META.get("HTTP_KODOSUMI_API_KEY", ""))
