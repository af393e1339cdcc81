"""The OAuth 2.0 endpoints: token (RFC 6749), introspect (RFC 7662), revoke (RFC 7009)."""

import re
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    MethodNotAllowed,
    NotAuthenticated,
)
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from core.addresses import client_address
from core.errors import DomainError, TooManyRequests, bearer_challenge, shortened
from core.examples import answered
from core.metrics import token_requests
from core.outages import AWAY
from core.throttling import Quota, count_attempt, throttle_key
from organizations.api.viewsets import OrganizationScopedViewSet
from tokens.access_tokens import AgentAccess, PersonAccess, ResourceAccess, SignedAccess
from tokens.actions import NotYourToken, Refusal, introspect_token, issue_token, revoke_token
from tokens.authentication import BearerAuthentication
from tokens.models import MAX_IDENTIFIER_LENGTH, TokenEvent
from tokens.oauth.client_authentication import (
    ClientAuthentication,
    ClientProof,
    ClientRefused,
    OAuthError,
    client_proof,
    form_parameters,
)
from tokens.resources import ADDRESS_FORM, MAX_SCOPES_LENGTH
from tokens.serializers import IntrospectionSerializer, OAuthErrorSerializer, TokenFormSerializer

logger = structlog.get_logger(__name__)

SCOPE_FORM = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
BASIC_CHALLENGE = 'Basic realm="AgentIdP", charset="UTF-8"'
INACTIVE_ANSWERS = Quota(limit=1000, window=timedelta(minutes=1))


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def token(request: HttpRequest) -> HttpResponse:
    """`POST /api/v1/token`: client credentials in, a signed token out (RFC 6749 section 4.4).

    A plain view: this is the one hot path, and it commits its row before it answers.
    """
    if request.method != "POST":
        answer = _error(OAuthError("invalid_request", "Use POST.", status=405))
        answer["Allow"] = "POST"
        return answer
    try:
        parameters = form_parameters(request)
        proof = client_proof(request, parameters)
        scopes = _wanted_scopes(parameters)
        resource = _wanted_resource(parameters)
    except OAuthError as error:
        return _error(error)
    return _issue(request, proof, scopes, resource)


def _wanted_scopes(parameters: dict[str, str]) -> list[str] | None:
    """The scopes asked for; None when the client leaves the choice to us."""
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
    """The resource that the token is for (RFC 8707 section 2); None for our own API.

    It is compared character by character, so what cannot be an identifier is unknown.
    """
    resource = parameters.get("resource", settings.AUDIENCE)
    if resource == settings.AUDIENCE:
        return None
    if len(resource) > MAX_IDENTIFIER_LENGTH or not ADDRESS_FORM.fullmatch(resource):
        raise unknown_target()
    return resource


def unavailable() -> OAuthError:
    """The database is away."""
    return OAuthError(
        "temporarily_unavailable", "Try again.", status=503, retry_after=AWAY.retry_after
    )


def unknown_target() -> OAuthError:
    """The one answer for a resource that is not there or where the client is not allowed."""
    return OAuthError(
        "invalid_target", "The resource is not known here, or the client is not allowed there."
    )


def _issue(
    request: HttpRequest, proof: ClientProof, scopes: list[str] | None, resource: str | None
) -> HttpResponse:
    try:
        result = issue_token(
            proof.client_id,
            proof.client_secret,
            scopes,
            resource=resource,
            ip_address=client_address(request),
        )
    except (OperationalError, InterfaceError) as error:
        logger.warning("database.unavailable", error=type(error).__name__)
        return _error(unavailable())
    structlog.contextvars.bind_contextvars(client_id=str(proof.client_id))
    if isinstance(result, Refusal):
        token_requests.labels("refused", result.reason).inc()
        return _error(_public_error(result))
    token_requests.labels("issued", "").inc()
    return JsonResponse(
        {
            "access_token": result.access_token,
            "token_type": "Bearer",
            "expires_in": result.expires_in,
            "scope": result.scope,
        },
        headers=NO_STORE,
    )


def _public_error(refusal: Refusal) -> OAuthError:
    """What the client may know: only a client that proved itself learns a reason."""
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


def _error(error: OAuthError) -> HttpResponse:
    headers = dict(NO_STORE)
    if error.status == 401:
        headers["WWW-Authenticate"] = BASIC_CHALLENGE
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    body = {"error": error.error, "error_description": error.description}
    return JsonResponse(body, status=error.status, headers=headers)


def oauth_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Errors of introspection and revocation in RFC 6749's form."""
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
        status, code, description = error.status, "invalid_request", error.message
    else:
        return None
    if status == 401:
        headers.setdefault("WWW-Authenticate", BASIC_CHALLENGE)
    if not isinstance(error, ClientRefused):  # whose record must stay
        set_rollback()
    body = {"error": code, "error_description": shortened(description)}
    return Response(body, status, headers=headers)


@extend_schema(tags=["Tokens"])
class TokenViewSet(OrganizationScopedViewSet):
    """Introspection and revocation, for clients with their secret and for bearers alike."""

    authentication_classes = [BearerAuthentication, ClientAuthentication]
    parser_classes = [FormParser]
    http_method_names = ["post"]
    required_scopes = {"introspect": ("tokens:read",), "revoke": ("tokens:read",)}

    def get_exception_handler(self) -> Any:
        return oauth_exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":  # before the parameters of a wrong request are read
            raise MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)

    @extend_schema(
        request={"application/x-www-form-urlencoded": TokenFormSerializer},
        responses={
            200: IntrospectionSerializer,
            (400, "application/json"): OAuthErrorSerializer,
        },
    )
    def introspect(self, request: Request) -> Response:
        """Whether a token is live, and what it says. Any other token is just inactive."""
        token = _readable(_wanted_token(request))
        scopes = _live_scopes(token, self.organization.pk, request)
        if token is None or scopes is None:
            count_attempt(
                throttle_key("introspect", self.organization.pk, self.actor.id), INACTIVE_ANSWERS
            )
            return Response({"active": False}, headers=NO_STORE)
        introspect_token(token, actor=self.actor)
        return Response(_facts(token, scopes), headers=NO_STORE)

    @extend_schema(
        request={"application/x-www-form-urlencoded": TokenFormSerializer},
        responses={
            200: answered(OpenApiTypes.OBJECT, {}),
            (400, "application/json"): OAuthErrorSerializer,
        },
    )
    def revoke(self, request: Request) -> Response:
        """End a token now. The answer does not tell whether there was one.

        A live token of somebody else in the organization is refused (`unauthorized_client`). The
        body is an empty object: RFC 7009 lets clients ignore it, and some insist on JSON.
        """
        token = _readable(_wanted_token(request))
        if token is not None:
            revoke_token(token, actor=self.actor)
        return Response({}, headers=NO_STORE)


def _wanted_token(request: Request) -> str:
    text = form_parameters(request._request).get("token")
    if text is None:
        raise OAuthError("invalid_request", "token is missing.")
    return text


def _readable(text: str) -> SignedAccess | None:
    """The token, if we signed it and it has not expired."""
    kinds: tuple[type[SignedAccess], ...] = (AgentAccess, ResourceAccess, PersonAccess)
    for kind in kinds:
        with suppress(TokenError):
            return kind(text.encode("latin-1", "replace"))  # type: ignore[arg-type]
    return None


def _live_scopes(
    token: SignedAccess | None, organization_id: UUID, request: Request
) -> frozenset[str] | None:
    """What a live token of the organization still allows; None for any other token."""
    if token is None or token.organization_id != organization_id:
        return None
    try:
        return token.live_scopes(request._request)
    except InvalidToken:
        return None


def _facts(token: SignedAccess, scopes: frozenset[str]) -> dict[str, Any]:
    """What RFC 7662 section 2.2 tells; `scope` is what is left of the token's own today."""
    names = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "organization_id")
    facts = {name: token[name] for name in names if name in token}
    facts["scope"] = " ".join(name for name in token.get("scope", "").split() if name in scopes)
    return {"active": True, "token_type": "Bearer", **facts}
