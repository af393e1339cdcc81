"""Middleware that handles every request before and after its view."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.gzip import GZipMiddleware

from core import metrics
from core.constraints import broken_constraint, is_duplicate
from core.content_types import PROBLEM
from core.errors import DomainError, StoredMeanwhile
from core.failures import route_of, watch_body
from core.handlers import error_response
from core.logs import log_request
from core.memory import count_response
from core.outages import outage_of
from core.password_hashers import hashing_for, line_of
from core.request_ids import log_fields_of, request_id_of

logger = structlog.get_logger("agentidp.access")

MAX_LENGTH_DIGITS = 18  # Python refuses to parse a number of more than 4,300 digits
# The headers that the middleware below would have added.
GUARDS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestRecord:
    """Logs and counts one request, whoever answers it. Create it when the request begins."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**log_fields_of(environ))
        self.request_id = request_id_of(environ)

    def leave(self, method: str, route: str, status: int) -> None:
        """Log and count the response; `route` is the pattern: the URL may contain a secret."""
        seconds = time.perf_counter() - self._started
        method = method if method in metrics.METHODS else "OTHER"
        metrics.count_request(method, route, status, seconds)
        log_request(
            {
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
            }
        )


class PageCompressionMiddleware(GZipMiddleware):
    """Compress pages, and nothing else: a stream would be held back, and nginx compresses the rest.

    Here as well, because not every proxy compresses, and the smallest installation has none.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        is_page = response.get("Content-Type", "").startswith("text/html")
        if response.streaming or not is_page:
            return response
        return super().process_response(request, response)


class RequestRecordMiddleware:
    """Give each request an id, write one access log line, count it, and let the passwords that it
    hashes wait in the line of its network."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        record = RequestRecord(request.META)
        with hashing_for(lambda: line_of(request.META)):
            response = self.get_response(request)
        watch_body(request, response)
        if not response.streaming:
            count_response(len(response.content))
        record.leave(request.method or "", route_of(request), response.status_code)
        response["X-Request-Id"] = record.request_id
        if "Cache-Control" not in response:
            # Responses belong to one caller; a shared cache must not store them.
            response["Cache-Control"] = "no-store"
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if outage := outage_of(error):
            response = error_response(request, 503, code=outage.code, message=outage.message)
            response["Retry-After"] = str(outage.retry_after)
            return response
        if isinstance(error, DomainError) and error.status == 503:
            response = error_response(request, 503, code=error.code, message=error.message)
            if retry_after := getattr(error, "retry_after", None):
                response["Retry-After"] = str(retry_after)
            return response
        if is_duplicate(error):
            logger.warning("database.duplicate", constraint=broken_constraint(error))
            return error_response(request, 409, message=StoredMeanwhile.message)
        return None


class BoundedRequestMiddleware:
    """Refuse invalid or oversized requests before any view: NUL bytes, plain HTTP in production,
    long URLs and bodies."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _drop_escaped_cookies(request)
        refusal = _refusal(request)
        if refusal is None:
            return self.get_response(request)
        for name, value in GUARDS.items():
            refusal[name] = value
        return refusal

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Refuse a large body that nobody answers for, before it is read."""
        view_class = getattr(view, "cls", None)
        if view_class is None or view_class.authentication_classes:
            return None
        limit = settings.MAX_FORM_BYTES
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        return _too_large(request, limit) if length > limit else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, RequestDataTooBig):
            return _too_large(request)
        return None


class HostMiddleware(CommonMiddleware):
    """Refuse requests for a foreign host name, except probes.

    Load balancers and Prometheus address a process by its IP, and get responses without links.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if _is_probe(request) else super().process_request(request)


def _drop_escaped_cookies(request: HttpRequest) -> None:
    """Drop cookies with an escape sequence: none of AgentIdP's has one, and unescaping takes
    quadratic time before Python 3.11.10 and 3.12.6, seconds for 64 KiB of backslashes
    (CVE-2024-7592)."""
    cookies = request.META.get("HTTP_COOKIE", "")
    if "\\" in cookies:
        kept = (each for each in cookies.split(";") if "\\" not in each)
        request.META["HTTP_COOKIE"] = ";".join(kept)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if "\x00" in request.path_info or len(request.path_info) > settings.MAX_PATH_BYTES:
        return error_response(request, 404)
    if problem := request.META.get(PROBLEM):
        return error_response(request, 415, message=problem)
    query = request.META.get("QUERY_STRING", "")
    if len(query) > settings.MAX_QUERY_BYTES:
        # Redirects and the links on a page repeat the query.
        return error_response(
            request, 414, message=f"The query is longer than {settings.MAX_QUERY_BYTES} bytes."
        )
    if "\x00" in query or "%00" in query:
        return error_response(request, 400, message="The query contains a NUL byte.")
    if settings.IS_PRODUCTION and not request.is_secure() and not _is_probe(request):
        return error_response(request, 403, message="Use https.")
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        # Django reads as many bytes as Content-Length says, so it would see an empty body.
        return error_response(
            request, 411, message="Send Content-Length: chunked bodies are not accepted."
        )
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        return error_response(request, 400, message="Content-Length is not a number.")
    if int(length) > _largest_body(request):
        return _too_large(request)
    return None


def _largest_body(request: HttpRequest) -> int:
    """The limit in bytes.

    It is lower for forms, because a page repeats what was typed into a faulty one.
    """
    is_form = request.content_type in FORMS and not request.path_info.startswith("/api/")
    return settings.MAX_FORM_BYTES if is_form else settings.MAX_BODY_BYTES


def _is_probe(request: HttpRequest) -> bool:
    return request.path_info in {"/livez", "/readyz", "/metrics"}


def _too_large(request: HttpRequest, limit: int | None = None) -> HttpResponse:
    limit = limit or _largest_body(request)
    return error_response(request, 413, message=f"The body is larger than {limit} bytes.")
