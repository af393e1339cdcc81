"""The token endpoint (RFC 6749)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from core.addresses import address_of
from core.errors import MESSAGES
from core.failures import log_failure
from core.metrics import token_requests_with
from tokens.actions import Refusal, issue_token
from tokens.models import MAX_IDENTIFIER_LENGTH, TokenEvent
from tokens.oauth.client_authentication import ClientProof, client_proof, form_parameters
from tokens.oauth.errors import (
    OAuthError,
    PlainResponse,
    error_response,
    json_response,
    unavailable,
    unknown_target,
)
from tokens.resources import ADDRESS_FORM, MAX_SCOPES_LENGTH

logger = structlog.get_logger(__name__)

PATH = "/api/v1/token"
ROUTE = PATH.removeprefix("/")
SCOPE_FORM = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def token(request: HttpRequest) -> HttpResponse:
    """The token endpoint as a Django view. Servers respond in token_door.py instead."""
    response = token_response(request.method or "", request.META, lambda: request.body)
    return HttpResponse(response.body, status=response.status, headers=response.headers)


def token_response(
    method: str, environ: Mapping[str, Any], read: Callable[[], bytes]
) -> PlainResponse:
    """`POST /api/v1/token`: issue a token for client credentials (RFC 6749 section 4.4).

    This is the hottest path, so it takes only the method, the WSGI environ and a function that
    reads the body. The token's row is committed before the response.
    """
    try:
        if method != "POST":
            wrong_method = OAuthError("invalid_request", "Use POST.", status=405)
            return error_response(wrong_method, Allow="POST")
        parameters = form_parameters(environ, read)
        proof = client_proof(environ, parameters)
        scopes = _wanted_scopes(parameters)
        resource = _wanted_resource(parameters)
        return _issue(environ, proof, scopes, resource)
    except OAuthError as error:
        return error_response(error)
    except Exception as error:
        log_failure(error, method=method, route=ROUTE)
        return error_response(OAuthError("server_error", MESSAGES[500], status=500))


def _wanted_scopes(parameters: dict[str, str]) -> list[str] | None:
    """The requested scopes, or None to get all that the client may have."""
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type != "client_credentials":
        raise OAuthError("unsupported_grant_type", "The only grant type is client_credentials.")
    scope = parameters.get("scope")
    if scope is None:
        return None
    if len(scope) > MAX_SCOPES_LENGTH or not SCOPE_FORM.fullmatch(scope):
        raise OAuthError("invalid_scope", "The scope is not well formed.")
    return list(dict.fromkeys(scope.split(" ")))


def _wanted_resource(parameters: dict[str, str]) -> str | None:
    """The requested resource (RFC 8707 section 2), or None for AgentIdP's API.

    Identifiers are compared character by character, so a malformed one is unknown.
    """
    resource = parameters.get("resource", settings.AUDIENCE)
    if resource == settings.AUDIENCE:
        return None
    if len(resource) > MAX_IDENTIFIER_LENGTH or not ADDRESS_FORM.fullmatch(resource):
        raise unknown_target()
    return resource


def _issue(
    environ: Mapping[str, Any], proof: ClientProof, scopes: list[str] | None, resource: str | None
) -> PlainResponse:
    try:
        result = issue_token(
            proof.client_id,
            proof.client_secret,
            scopes,
            resource=resource,
            ip_address=address_of(environ),
        )
    except (OperationalError, InterfaceError) as error:
        logger.warning("database.unavailable", error=type(error).__name__)
        return error_response(unavailable())
    structlog.contextvars.bind_contextvars(client_id=str(proof.client_id))
    if isinstance(result, Refusal):
        token_requests_with("refused", result.reason).inc()
        return error_response(_public_error(result))
    token_requests_with("issued", "").inc()
    return json_response(
        {
            "access_token": result.access_token,
            "token_type": "Bearer",
            "expires_in": result.expires_in,
            "scope": result.scope,
        }
    )


def _public_error(refusal: Refusal) -> OAuthError:
    """The error shown to the client. Only an authenticated client is told the reason."""
    if refusal.reason == "throttled":
        return OAuthError(
            "slow_down",
            "Too many failed attempts.",
            status=429,
            retry_after=refusal.retry_after,
        )
    if refusal.reason == TokenEvent.Reason.SCOPE_NOT_ALLOWED:
        return OAuthError("invalid_scope", "The client may not ask for this scope.")
    if refusal.reason == TokenEvent.Reason.RESOURCE_NOT_ALLOWED:
        return unknown_target()
    if refusal.reason == TokenEvent.Reason.MONTHLY_LIMIT:
        return OAuthError(
            "rate_limit_exceeded",
            "The organization has used up its tokens for this month.",
            status=429,
            retry_after=refusal.retry_after,
        )
    return OAuthError(
        "invalid_client", "The client is not known or its secret is wrong.", status=401
    )
