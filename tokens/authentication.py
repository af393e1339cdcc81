"""Bearer token authentication of people and agents (RFC 6750)."""

from typing import Any, cast

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken

from core.cross_site import is_cross_site
from core.errors import Forbidden, InvalidValue, bearer_challenge
from tokens.access_tokens import BearerToken

KEY_COOKIE = "kodosumi_jwt"


class PresentedToken:
    """The user of a request until the view has entered the organization and loaded the actor."""

    is_authenticated = True
    is_active = True
    pk = None


class BearerAuthentication(JWTAuthentication):
    """Checks the signature only. The view checks in the token's organization whether it is live."""

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
        """The user and token, or None for an empty text.

        Raise InvalidToken if it is not one of our tokens.
        """
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
    """Accepts the same token in kodosumi's header, KODOSUMI_API_KEY.

    Many servers and proxies drop header names with underscores, so KODOSUMI-API-KEY works as well.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        return self.read(request.META.get("HTTP_KODOSUMI_API_KEY", ""))


class KeyCookieAuthentication(BearerAuthentication):
    """Accepts the same token in kodosumi's cookie, and no change that another site's page sends."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = self.read(request.COOKIES.get(KEY_COOKIE, ""))
        if found and request.method not in SAFE_METHODS and is_cross_site(request._request):
            raise Forbidden("A page of another site cannot use this cookie.")
        return found
