"""Turns errors into responses: for API views, for pages, and for requests that reach neither.

No response contains a stack trace or an exception's message that was not written for callers.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from core.constraints import broken_constraint, is_duplicate
from core.errors import (
    CODES,
    MESSAGES,
    DomainError,
    Forbidden,
    InvalidValue,
    StoredMeanwhile,
    bearer_challenge,
    error_body,
)
from core.outages import Outage, outage_of

logger = structlog.get_logger(__name__)

# These endpoints answer errors as RFC 6749 section 5.2 says, whichever code handles them.
OAUTH_PATHS = frozenset({"/api/v1/token", "/api/v1/token/introspect", "/api/v1/token/revoke"})
# Django REST framework's key for errors of the body as a whole.
WHOLE_BODY = api_settings.NON_FIELD_ERRORS_KEY
OAUTH_ERRORS = {500: "server_error", 503: "temporarily_unavailable"}
PAGES = frozenset({400, 403, 404, 409, 429})


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn any exception of an API view into the error body (Django REST framework hook)."""
    if isinstance(error, DomainError):
        response = domain_error_response(error)
    elif isinstance(error, (exceptions.ValidationError, DjangoValidationError)):
        response = _invalid(error)
    elif isinstance(error, Http404):
        response = Response(error_body("NOT_FOUND", str(error) or MESSAGES[404]), status=404)
    elif isinstance(error, PermissionDenied):
        response = Response(error_body("FORBIDDEN", Forbidden.message), status=403)
    elif isinstance(error, exceptions.APIException):
        response = _framework_error(error)
    elif outage := outage_of(error):
        response = outage_response(outage)
    elif is_duplicate(error):
        logger.warning("database.duplicate", constraint=broken_constraint(error))
        response = domain_error_response(StoredMeanwhile())
    else:
        return None
    set_rollback()
    return response


def domain_error_response(error: DomainError) -> Response:
    """The response for a refusal that was recorded.

    Raising the error would roll the record back.
    """
    response = Response(error_body(error.code, error.message, error.details), status=error.status)
    if retry_after := getattr(error, "retry_after", None):
        response["Retry-After"] = str(retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = bearer_challenge()
    return response


def outage_response(outage: Outage) -> Response:
    """The response for a database outage. Returning it instead of raising keeps the transaction."""
    response = Response(error_body(outage.code, outage.message), status=503)
    response["Retry-After"] = str(outage.retry_after)
    return response


def _invalid(error: exceptions.ValidationError | DjangoValidationError) -> Response:
    detail: Any
    if isinstance(error, DjangoValidationError):
        detail = error.message_dict if hasattr(error, "error_dict") else error.messages
    else:
        detail = error.detail
    details = dict(detail) if isinstance(detail, dict) else {"body": detail}
    if WHOLE_BODY in details:
        details["body"] = details.pop(WHOLE_BODY)
    return Response(error_body("VALIDATION_ERROR", _first_sentence(details), details), status=400)


def _first_sentence(details: Mapping[str, Any]) -> str:
    """Name the first faulty field, so that the message alone is enough to act on."""
    for field, problem in details.items():
        while isinstance(problem, (list, tuple, dict)) and problem:
            problem = next(iter(problem.values() if isinstance(problem, dict) else problem))
        if problem:
            return str(problem) if field == "body" else f"{field}: {problem}"
    return InvalidValue.message


def _framework_error(error: exceptions.APIException) -> Response:
    code = CODES.get(error.status_code, "ERROR")
    # simplejwt wraps its message in a dictionary with a code of its own.
    detail = error.detail.get("detail") if isinstance(error.detail, dict) else error.detail
    response = Response(error_body(code, str(detail)), status=error.status_code)
    if isinstance(error, exceptions.AuthenticationFailed):
        # RFC 6750 section 3.1: only a request that has a token gets an error code.
        response["WWW-Authenticate"] = bearer_challenge("invalid_token")
    elif header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait) + 1)
    return response


# Error responses for requests that never reach an API view.


def wants_page(request: HttpRequest) -> bool:
    """Whether to answer with a page: for a browser, outside the API."""
    is_api = request.path_info.startswith(("/api/", "/.well-known/"))
    return not is_api and "text/html" in request.headers.get("Accept", "")


def error_response(
    request: HttpRequest, status: int, *, message: str = "", code: str = "", template: str = ""
) -> HttpResponse:
    """An error page or the JSON error body, depending on what the caller accepts."""
    message = message or MESSAGES.get(status, HTTPStatus(status).description)
    if wants_page(request):
        if status >= 500:
            # Rendered without the request: a context processor may be what failed.
            page = {"message": message, "is_outage": status == 503}
            return HttpResponse(render_to_string("errors/500.html", page), status=status)
        template = f"errors/{template or (status if status in PAGES else 400)}.html"
        return render(request, template, {"message": message, "status": status}, status=status)
    if request.path_info.rstrip("/") in OAUTH_PATHS:
        body = {"error": OAUTH_ERRORS.get(status, "invalid_request"), "error_description": message}
        return JsonResponse(body, status=status)
    return JsonResponse(error_body(code or CODES.get(status, "ERROR"), message), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    logger.info("request.refused", reason=type(exception).__name__)
    return error_response(request, 400, message="The request could not be read.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 403, message=Forbidden.message)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    path = request.path_info
    has_slash = path.endswith("/") and path.rstrip("/") in OAUTH_PATHS
    hint = f"{MESSAGES[404]} Remove the trailing slash." if has_slash else ""
    return error_response(request, 404, message=hint)


def server_error(request: HttpRequest) -> HttpResponse:
    return error_response(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    # After the dash Django names the referring address, which may contain a secret.
    logger.info("form.refused", reason=reason.partition(" - ")[0])
    return error_response(
        request,
        403,
        message="This form was open for too long or came from another site. Reload and try again.",
        template="403_csrf",
    )
