"""The base of introspection and revocation: authentication, and reading the token in question."""

from contextlib import suppress
from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError

from organizations.api.viewsets import OrganizationScopedViewSet
from tokens.access_tokens import AgentAccess, PersonAccess, ResourceAccess, SignedAccess
from tokens.authentication import BearerAuthentication
from tokens.oauth.client_authentication import ClientAuthentication, form_parameters
from tokens.oauth.errors import OAuthError, oauth_exception_handler


class PresentedTokenViewSet(OrganizationScopedViewSet):
    """Accepts client authentication and bearer tokens."""

    authentication_classes = [BearerAuthentication, ClientAuthentication]
    parser_classes = [FormParser]
    http_method_names = ["post"]

    def get_exception_handler(self) -> Any:
        return oauth_exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":  # before the parameters of another method are parsed
            raise MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)


def wanted_token(request: Request) -> str:
    """The `token` parameter of the request. Raise OAuthError if it is missing."""
    text = form_parameters(request.META, lambda: request._request.body).get("token")
    if text is None:
        raise OAuthError("invalid_request", "token is missing.")
    return text


def read_token(text: str) -> SignedAccess | None:
    """The token, if we signed it and it has not expired, otherwise None."""
    kinds: tuple[type[SignedAccess], ...] = (AgentAccess, ResourceAccess, PersonAccess)
    for kind in kinds:
        with suppress(TokenError):
            return kind(text.encode("latin-1", "replace"))  # type: ignore[arg-type]
    return None
