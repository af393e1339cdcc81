"""OAuth error responses (RFC 6749 section 5.2)."""

from typing import Any, NamedTuple

import orjson
from django.db import InterfaceError, OperationalError
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated
from rest_framework.response import Response
from rest_framework.views import set_rollback
from rest_framework_simplejwt.exceptions import InvalidToken

from core.errors import DomainError, TooManyRequests, bearer_challenge, shortened
from core.outages import AWAY
from tokens.actions import NotYourToken

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
GUARDS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
BASIC_CHALLENGE = 'Basic realm="AgentIdP", charset="UTF-8"'


class OAuthError(Exception):
    """An error that is returned as RFC 6749 section 5.2 specifies."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, retry_after: int = 0
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = shortened(description)
        self.status = status
        self.retry_after = retry_after


class ClientRefused(AuthenticationFailed):
    """Client authentication failed. The failure is recorded, so the transaction must commit."""


def unavailable() -> OAuthError:
    """The error while the database is unavailable."""
    return OAuthError(
        "temporarily_unavailable", "Try again.", status=503, retry_after=AWAY.retry_after
    )


def unknown_target() -> OAuthError:
    """The error for an unknown resource, and alike for one the client is not allowed at."""
    return OAuthError(
        "invalid_target", "The resource is not known here, or the client is not allowed there."
    )


class PlainResponse(NamedTuple):
    """A response that does not depend on Django."""

    status: int
    headers: dict[str, str]
    body: bytes


def json_response(body: dict[str, Any], status: int = 200, **headers: str) -> PlainResponse:
    """A JSON response. `headers` have underscores in place of hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json"}
    return PlainResponse(status, NO_STORE | GUARDS | named | kind, orjson.dumps(body))


def error_response(error: OAuthError, **headers: str) -> PlainResponse:
    if error.status == 401:
        headers["WWW_Authenticate"] = BASIC_CHALLENGE
    if error.retry_after:
        headers["Retry_After"] = str(error.retry_after)
    body = {"error": error.error, "error_description": error.description}
    return json_response(body, error.status, **headers)


def oauth_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Exception handler of introspection and revocation."""
    if isinstance(error, (OperationalError, InterfaceError)):
        error = unavailable()
    headers = dict(NO_STORE)
    if isinstance(error, OAuthError):
        status, code, description = error.status, error.error, error.description
        if error.retry_after:
            headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, TooManyRequests):
        status, code, description = 429, "slow_down", error.message
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, InvalidToken):
        status, code, description = 401, "invalid_token", "The token is not valid."
        headers["WWW-Authenticate"] = bearer_challenge("invalid_token")
    elif isinstance(error, (NotAuthenticated, AuthenticationFailed)):
        status, code, description = 401, "invalid_client", str(error.detail)
    elif isinstance(error, APIException):
        is_scope = error.status_code == 403
        status, description = error.status_code, str(error.detail)
        code = "insufficient_scope" if is_scope else "invalid_request"
        if header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = header
    elif isinstance(error, NotYourToken):
        status, code, description = 400, "unauthorized_client", error.message
    elif isinstance(error, DomainError):
        status, description = error.status, error.message
        code = "temporarily_unavailable" if status == 503 else "invalid_request"
        if retry_after := getattr(error, "retry_after", None):
            headers["Retry-After"] = str(retry_after)
    else:
        return None
    if status == 401:
        headers.setdefault("WWW-Authenticate", BASIC_CHALLENGE)
    if not isinstance(error, ClientRefused):  # keep the record of the failure
        set_rollback()
    body = {"error": code, "error_description": shortened(description)}
    return Response(body, status, headers=headers)
