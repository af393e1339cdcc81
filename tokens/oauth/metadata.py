"""Public metadata: the public keys and the addresses of the endpoints."""

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from core.handlers import error_response
from organizations.actors import Scope
from tokens.keys import key_ring

CLIENT_METHODS = ["client_secret_basic", "client_secret_post"]


def public_document(view: Callable[..., dict[str, Any]]) -> Callable[..., HttpResponseBase]:
    """Decorate a view that returns a public document, cacheable as long as key rotation allows."""

    @csrf_exempt  # changes nothing; other methods get a 405
    @login_not_required
    @transaction.non_atomic_requests
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if request.method not in {"GET", "HEAD"}:
            refusal = error_response(request, 405)
            refusal["Allow"] = "GET, HEAD"
            return refusal
        content = json.dumps(view(**kwargs)).encode()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {
            "Cache-Control": f"public, max-age={int(settings.JWKS_MAX_AGE.total_seconds())}",
            "ETag": etag,
            "Access-Control-Allow-Origin": "*",
        }
        response = HttpResponse(content, content_type="application/json", headers=headers)
        return get_conditional_response(request, etag=etag, response=response) or response

    wrapped.__name__, wrapped.__doc__ = view.__name__, view.__doc__
    return wrapped


@public_document
def jwks() -> dict[str, Any]:
    """The public keys that verify our tokens, as a JSON Web Key Set (RFC 7517)."""
    if not key_ring.published():
        key_ring.signing_key("ES256")
    return {"keys": key_ring.published()}


@public_document
def authorization_server(issuer_path: str = "") -> dict[str, Any]:
    """Authorization server metadata (RFC 8414), with supported values only."""
    _require_path(issuer_path, of=settings.ISSUER)
    return _server_metadata()


@public_document
def openid_configuration(issuer_path: str | None = None) -> dict[str, Any]:
    """The metadata at OpenID Connect Discovery's address, for clients that know no other.

    There are no ID tokens, so it lists no algorithm for them. The issuer's path may come before or
    after the well-known part (RFC 8414 section 5), or be missing if the proxy removes it.
    """
    if issuer_path is not None:
        _require_path(issuer_path, of=settings.ISSUER)
    return _server_metadata() | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [],
    }


def _server_metadata() -> dict[str, Any]:
    return {
        "issuer": settings.ISSUER,
        "authorization_endpoint": _url("authorize"),
        "token_endpoint": _url("token"),
        "jwks_uri": _url("jwks"),
        "introspection_endpoint": _url("token-introspect"),
        "revocation_endpoint": _url("token-revoke"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": CLIENT_METHODS,
        "introspection_endpoint_auth_methods_supported": CLIENT_METHODS,
        "revocation_endpoint_auth_methods_supported": CLIENT_METHODS,
        "scopes_supported": Scope.values,
    }


@public_document
def protected_resource(resource_path: str | None = None) -> dict[str, Any]:
    """Protected resource metadata (RFC 9728), with and without the resource's path."""
    if resource_path is not None:
        _require_path(resource_path, of=settings.AUDIENCE)
    return {
        "resource": settings.AUDIENCE,
        "authorization_servers": [settings.ISSUER],
        "jwks_uri": _url("jwks"),
        "scopes_supported": Scope.values,
        "bearer_methods_supported": ["header"],
    }


def _url(name: str) -> str:
    """The URL below the configured issuer, never below the request's Host."""
    return settings.ISSUER + reverse(name)


def _require_path(path: str, *, of: str) -> None:
    """Raise Http404 unless the path is that of the identifier `of`."""
    if path.strip("/") != urlsplit(of).path.strip("/"):
        raise Http404
