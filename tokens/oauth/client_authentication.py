"""Client authentication by HTTP Basic or in the body, never both (RFC 6749 section 2.3)."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_plus
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.addresses import client_address
from core.throttling import Guesses, refuse_guesses, refuse_late_guess
from organizations.actors import Actor, Scope
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, Principal
from tokens.actions import refuse_client
from tokens.authentication import PresentedToken
from tokens.models import Credential
from tokens.oauth.errors import ClientRefused, OAuthError
from tokens.peppers import stored_mac

FORM = "application/x-www-form-urlencoded"
MAX_PARAMETERS = 50
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
NOBODY = UUID(int=0)


@dataclass(frozen=True)
class ClientProof:
    """The client id and secret in a request. A malformed id becomes the nil UUID."""

    client_id: UUID
    client_secret: str


def form_parameters(environ: Mapping[str, Any], read: Callable[[], bytes]) -> dict[str, str]:
    """Parse the form-encoded body that `read` returns. Raise OAuthError for a repeated parameter.

    Only `resource` may be repeated (RFC 8707 section 2), with the same value. A parameter without a
    value is treated as omitted (RFC 6749 section 3.2).
    """
    if environ.get("QUERY_STRING"):
        raise OAuthError("invalid_request", "Send the parameters in the body, not in the URL.")
    if _media_type(environ.get("CONTENT_TYPE", "")) != FORM:
        raise OAuthError("invalid_request", f"The content type must be {FORM}.")
    if int(environ.get("CONTENT_LENGTH") or 0) > settings.MAX_FORM_BYTES:
        raise OAuthError("invalid_request", "The body is too large.", status=413)
    try:
        pairs = parse_qsl(
            read().decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise OAuthError("invalid_request", "The body cannot be read.") from error
    named = dict.fromkeys(pair for pair in pairs if pair[0] == "resource" and pair[1])
    if len(named) > 1:
        raise OAuthError("invalid_target", "A token is for one resource. Ask for one at a time.")
    pairs = [*(pair for pair in pairs if pair[0] != "resource"), *named]
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is given more than once.")
    return {name: value for name, value in parameters.items() if value}


def _media_type(content_type: str) -> str:
    return content_type if content_type == FORM else parse_header_parameters(content_type)[0]


def client_proof(environ: Mapping[str, Any], parameters: dict[str, str]) -> ClientProof:
    """The client id and secret, by Basic or from the body. Raise OAuthError if they are missing."""
    header = environ.get("HTTP_AUTHORIZATION", "").strip()
    scheme, _, value = header.partition(" ")
    if not header:
        if "client_id" not in parameters or "client_secret" not in parameters:
            _refuse("The client did not authenticate.")
        return _proof(parameters["client_id"], parameters["client_secret"])
    if "," in header:
        raise OAuthError("invalid_request", "Send one Authorization header.")
    if scheme.lower() != "basic":
        _refuse("Authenticate with HTTP Basic or in the body.")
    if "client_secret" in parameters:
        raise OAuthError("invalid_request", "Authenticate in one way: by Basic or in the body.")
    proof = _basic(value.strip())
    named = parameters.get("client_id")
    if named is not None and _proof(named, "").client_id != proof.client_id:
        raise OAuthError("invalid_request", "The body names another client than the header.")
    return proof


def _basic(value: str) -> ClientProof:
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8")
        name, colon, secret = text.partition(":")
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        name, secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        _refuse("The Basic credentials cannot be read.")
    if not colon:
        _refuse("The Basic credentials cannot be read.")
    return _proof(name, secret)


def _proof(name: str, secret: str) -> ClientProof:
    is_possible = CANONICAL_UUID.fullmatch(name) is not None
    return ClientProof(UUID(name) if is_possible else NOBODY, secret)


def _refuse(description: str) -> NoReturn:
    raise OAuthError("invalid_client", description, status=401)


class ClientCredentials:
    """A client that authenticates with its secret at introspection or revocation."""

    def __init__(self, proof: ClientProof) -> None:
        self.proof = proof

    @cached_property
    def organization_id(self) -> UUID:
        principal = Principal.objects.filter(pk=self.proof.client_id).first()
        return principal.organization_id if principal else UNIDENTIFIED_ORGANIZATION_ID

    def live_actor(self, request: HttpRequest) -> Actor:
        """The agent, if its secret works and it is not suspended. Raise ClientRefused if not."""
        address = client_address(request)
        guesses = Guesses.at("token", self.proof.client_id, address)
        has_failures = refuse_guesses(guesses)
        mac = stored_mac(self.proof.client_id, self.proof.client_secret)
        credential = (
            Credential.objects.usable()
            .of_acting_agents()
            .with_secret(mac)
            .filter(organization_id=self.organization_id, agent_id=self.proof.client_id)
            .select_related("agent", "organization")
            .first()
        )
        if credential is None:
            refuse_client(guesses, self.proof.client_id, self.organization_id, address)
            raise ClientRefused("The client is not known or its secret is wrong.")
        if has_failures:
            refuse_late_guess(guesses)
        return Actor(
            kind="agent",
            id=credential.agent_id,
            label=credential.agent.email,
            organization=credential.organization,
            scopes=frozenset({Scope.TOKENS_READ}),  # a secret alone may only introspect and revoke
            credential_id=credential.pk,
            ip_address=address,
            user_agent=request.headers.get("User-Agent", ""),
        )


class ClientAuthentication(BaseAuthentication):
    """Client authentication for introspection and revocation (RFC 7662 2.1, RFC 7009 2.1)."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        parameters = form_parameters(request.META, lambda: request._request.body)
        if not header and "client_secret" not in parameters:
            return None
        if header and header.partition(" ")[0].lower() != "basic":
            return None
        proof = client_proof(request.META, parameters)
        return PresentedToken(), ClientCredentials(proof)

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="AgentIdP", charset="UTF-8"'
