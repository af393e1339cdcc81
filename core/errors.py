"""The product's errors and their one response body: `{"code", "message", "details"}`.

The OAuth endpoints answer as RFC 6749 says instead. handlers.py turns errors into responses.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Self

from django.conf import settings


class DomainError(Exception):
    """A rule of the product was broken. Subclasses set `code` and `status`."""

    code = "CONFLICT"
    status: int = HTTPStatus.CONFLICT
    message = "The request conflicts with the current state."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or self.message
        self.details = details
        super().__init__(self.message)


class StoredMeanwhile(DomainError):
    """Two requests stored the same thing at once. This one was second and changed nothing."""

    message = (
        "Another request stored the same thing at the same moment. Read what is there and try "
        "again."
    )


class InvalidValue(DomainError):
    """A value of the request breaks a rule; `details` names the field."""

    code = "VALIDATION_ERROR"
    status = HTTPStatus.BAD_REQUEST
    message = "The request is not valid."

    @classmethod
    def of(cls, name: str, *problems: str) -> Self:
        """An error for the field or parameter `name`; the first problem becomes the message."""
        return cls(f"{name}: {problems[0]}", **{name: list(problems)})


class NotFound(DomainError):
    code = "NOT_FOUND"
    status = HTTPStatus.NOT_FOUND
    message = "Not found."


class Forbidden(DomainError):
    code = "FORBIDDEN"
    status = HTTPStatus.FORBIDDEN
    message = "You are not allowed to do this."


class TooManyRequests(DomainError):
    """`retry_after` is in whole seconds and is sent as the Retry-After header."""

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
    414: "URI_TOO_LONG",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
MESSAGES: dict[int, str] = {
    404: "There is nothing at this address.",
    500: "Something went wrong on our side. It was logged under the request id.",
    503: "The database cannot be reached at the moment. Try again shortly.",
}


# These limits keep the response short, however much invalid input a caller sends.
MAX_TEXT = 500
MAX_NAME = 100
MAX_PROBLEMS = 20
"""Per level of `details`. MORE then says how many were left out."""
MAX_PROBLEMS_IN_ALL = 200
MORE = "..."


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The response body of an error, bounded to a few kilobytes whatever the caller sent."""
    body: dict[str, Any] = {"code": code, "message": shortened(message)}
    if details:
        body["details"] = _bounded(details, [MAX_PROBLEMS_IN_ALL])
    return body


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def name_some(names: Collection[str], problem: str) -> dict[str, list[str]]:
    """The problem under each of the first names, and the number of further names under MORE."""
    problems = {name: [problem] for name in heapq.nsmallest(MAX_PROBLEMS, names)}
    return problems | _and_more(len(names) - len(problems))


def _and_more(number: int) -> dict[str, list[str]]:
    return {MORE: [f"and {number:,} more"]} if number > 0 else {}


def _bounded(value: Any, room: list[int]) -> Any:
    """The value with all texts and collections cut; `room[0]` is what all levels have left."""
    if isinstance(value, str):
        room[0] -= 1
        return shortened(value)
    if isinstance(value, Mapping):
        known = value.get(MORE)
        pairs = [(name, each) for name, each in _first(value.items(), room) if name != MORE]
        bounded = {
            shortened(name, MAX_NAME) if isinstance(name, str) else name: _bounded(each, room)
            for name, each in pairs
        }
        return bounded | ({MORE: known} if known else _and_more(len(value) - len(pairs)))
    if isinstance(value, (list, tuple)):
        items = [_bounded(each, room) for each in _first(value, room)]
        more = _and_more(len(value) - len(items))
        return [*items, *more.get(MORE, [])]
    return value


def _first(values: Collection[Any], room: list[int]) -> Iterator[Any]:
    for value in islice(values, MAX_PROBLEMS):
        if room[0] <= 0:
            return
        yield value


def bearer_challenge(error: str = "", *, scope: str = "") -> str:
    """The WWW-Authenticate value for a bearer token (RFC 6750 section 3).

    A request without a token gets no error code. `resource_metadata` tells a client how to get a
    token (RFC 9728 section 5.1).
    """
    metadata = f"{settings.ISSUER}/.well-known/oauth-protected-resource"
    fields = {"error": error, "scope": scope, "resource_metadata": metadata}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in fields.items() if value)
