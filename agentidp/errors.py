"""The product's errors, and the one body they all have: `{"code", "message", "details"}`.

The OAuth endpoints alone speak RFC 6749. See handlers.py for how an error becomes an answer.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings


class DomainError(Exception):
    """A rule of the product was broken. Subclasses fix `code` and `status`."""

    code = "CONFLICT"
    status: int = HTTPStatus.CONFLICT
    message = "The request is in conflict with the current state."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or self.message
        self.details = details
        super().__init__(self.message)


class StoredMeanwhile(DomainError):
    """Two requests stored the same thing at once; this one came second and changed nothing."""

    message = "Another request stored the same at this moment. Read what there is and try again."


class InvalidValue(DomainError):
    """A value of the request breaks a rule; `details` names the field."""

    code = "VALIDATION_ERROR"
    status = HTTPStatus.BAD_REQUEST
    message = "The request is not valid."


class NotFound(DomainError):
    code = "NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    message = "There is nothing with this id."


class Forbidden(DomainError):
    code = "FORBIDDEN"
    status = HTTPStatus.FORBIDDEN
    message = "You may not do this."


class TooManyRequests(DomainError):
    """`retry_after` is in whole seconds and travels as the Retry-After header."""

    code = "RATE_LIMIT_EXCEEDED"
    status = HTTPStatus.TOO_MANY_REQUESTS
    message = "Too many requests. Wait before you try again."

    def __init__(self, message: str | None = None, *, retry_after: int, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = max(1, retry_after)


CODES: dict[int, str] = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    411: "LENGTH_REQUIRED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
MESSAGES: dict[int, str] = {
    404: "There is nothing at this address.",
    500: "Something failed on our side. It has been logged under the request id.",
    503: "The database cannot be reached at the moment. Try again shortly.",
}


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"code": code, "message": message}
    if details:
        body["details"] = details
    return body


def bearer_challenge(error: str = "", *, scope: str = "") -> str:
    """WWW-Authenticate for a bearer (RFC 6750 section 3), with where to learn how to get a token.

    A request without a token gets no error code; `resource_metadata` is RFC 9728 section 5.1.
    """
    metadata = f"{settings.ISSUER}/.well-known/oauth-protected-resource"
    fields = {"error": error, "scope": scope, "resource_metadata": metadata}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in fields.items() if value)
