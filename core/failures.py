"""Unhandled errors: each is logged once, with its traceback and the request's id.

A refusal (4xx) is not one of them; its access log line is enough.
"""

import asyncio
import json
import re
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, MutableMapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog
from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from core import metrics
from core.errors import CODES, MESSAGES, error_body
from core.request_ids import log_fields_of, request_id_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = structlog.get_logger("core.failures")

MAX_TEXT_LENGTH = 300
"""How many characters of an exception's message are logged."""
SECRETS = re.compile(
    r"(?:sk|inv|rt|whsec|aid)_[A-Za-z0-9_\-]{8,}"  # credentials that we issue
    r"|eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+)*"  # JSON Web Tokens
    r"|(?<=://)[^/@\s]+(?=@)"  # user and password of a URL
    r"|(?=[A-Za-z_\-+=]*\d)[A-Za-z0-9_\-+=]{40,}"  # other keys, hashes, cookies
)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class BodyBroken(Exception):
    """The body of a response ended too early. The reason has been logged."""


class RightEnded(BodyBroken):
    """The reader of a long response lost the right to it while it was being sent."""


def log_failure(error: BaseException, event: str = "unhandled_error", **fields: Any) -> None:
    """Log the error with its traceback, unless it has been logged already."""
    if getattr(error, "_is_logged", False) or isinstance(error, BodyBroken):
        return
    error._is_logged = True  # type: ignore[attr-defined]
    logger.error(event, exc_info=error, **fields)


def log_request_failure(request: HttpRequest, error: BaseException) -> None:
    log_failure(
        error,
        **log_fields_of(request.META),
        method=request.method if request.method in metrics.METHODS else "OTHER",
        route=route_of(request),
    )


def route_of(request: HttpRequest) -> str:
    """The pattern of the matched route. The path itself may contain a secret."""
    return request.resolver_match.route if request.resolver_match else "(none)"


@receiver(got_request_exception, dispatch_uid="core.failures")
def log_uncaught(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """Log an exception of a view or a middleware that Django turns into a 500."""
    if error := sys.exc_info()[1]:
        log_request_failure(request, error)


def watch_body(request: HttpRequest, response: HttpResponseBase) -> None:
    """Log errors that occur while the body is produced, after Django has returned the response."""
    if isinstance(response, StreamingHttpResponse):
        parts = response.streaming_content
        if isinstance(parts, Iterator):
            response.streaming_content = _watched(request, parts)
        if live := getattr(response, "live", None):
            response.live = partial(_watched_live, request, live)  # type: ignore[attr-defined]


def _watched(request: HttpRequest, parts: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except RightEnded:
        raise
    except Exception as error:
        log_request_failure(request, error)
        raise _broken(request) from None


async def _watched_live(
    request: HttpRequest,
    live: Callable[[asyncio.Event], AsyncGenerator[bytes, None]],
    over: asyncio.Event,
) -> AsyncGenerator[bytes, None]:
    parts = live(over)
    try:
        async for part in parts:
            yield part
    except Exception as error:
        log_request_failure(request, error)
        raise _broken(request) from None
    finally:
        await parts.aclose()


def _broken(request: HttpRequest) -> BodyBroken:
    # Servers log this exception as it is, so its message must not contain the original error.
    return BodyBroken(f"The body of request {request_id_of(request.META)} broke off.")


def logging_failures(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application so that errors outside Django are logged, and get a response as well."""

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except Exception as error:
            log_failure(error, method=environ.get("REQUEST_METHOD", ""))
            body = json.dumps(error_body(CODES[500], MESSAGES[500])).encode()
            start_response("500 Internal Server Error", [("Content-Type", "application/json")])
            return [body]

    return wrapped


def without_secrets(exc_info: ExcInfo) -> str:
    """The traceback without anything that callers sent.

    It has no variables, only the beginning of the first line of each message (PostgreSQL writes
    whole rows into the others), and masks whatever looks like a secret.
    """
    return "".join(_formatted(exc_info[1], set()))


def mask_sentence(logger: Any, name: str, event: MutableMapping[str, Any]) -> Any:
    """structlog processor: mask secrets in the event, into which libraries copy error messages."""
    if event.get("exc_info"):
        sentence = (str(event.get("event", "")).splitlines() or [""])[0][:MAX_TEXT_LENGTH]
        event["event"] = SECRETS.sub("***", sentence)
    return event


def _formatted(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__
    before = cause or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _formatted(before, seen)
        yield "\nThat led to:\n\n" if cause else "\nWhile that was handled:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    text = (str(error).splitlines() or [""])[0][:MAX_TEXT_LENGTH]
    kind = type(error)
    yield f"{kind.__module__}.{kind.__qualname__}: {SECRETS.sub('***', text)}\n"
    for each in getattr(error, "exceptions", ()):
        if isinstance(each, BaseException) and id(each) not in seen:
            yield "\nPart of it:\n\n"
            yield from _formatted(each, seen)


def log_what_threads_raise() -> None:
    """Log exceptions of threads, which Python would print to standard error."""

    def log(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread else ""
            log_failure(args.exc_value, thread=name)

    threading.excepthook = log
