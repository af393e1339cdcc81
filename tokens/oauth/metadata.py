"""What a stranger may know: the public keys and where the endpoints are. Public by design."""

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
    """JSON that anyone may read and cache for as long as the key rotation allows."""

    @csrf_exempt  # changes nothing: another method is a 405, no matter where it came from
    @login_not_required
    @transaction.non_atomic_requests
    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
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

    answer.__name__, answer.__doc__ = view.__name__, view.__doc__
    return answer


@public_document
def jwks() -> dict[str, Any]:
    """The public keys that verify our tokens, as a JSON Web Key Set (RFC 7517)."""
    if not key_ring.published():
        key_ring.signing_key("ES256")
    return {"keys": key_ring.published()}


@public_document
def authorization_server(issuer_path: str = "") -> dict[str, Any]:
    """Authorization server metadata (RFC 8414): only what works stands here."""
    _require_path(issuer_path, of=settings.ISSUER)
    return _about_us()


@public_document
def openid_configuration(issuer_path: str | None = None) -> dict[str, Any]:
    """The same under the name that OpenID Connect Discovery gives it, for clients that know no
    other. We issue no ID tokens, so there is no algorithm for them.

    Before the well-known part and after it, the path is the issuer's (RFC 8414 section 5); without
    one it may have been taken off by the proxy in front of us.
    """
    if issuer_path is not None:
        _require_path(issuer_path, of=settings.ISSUER)
    return _about_us() | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [],
    }


def _about_us() -> dict[str, Any]:
    return {
        "issuer": settings.ISSUER,
        "authorization_endpoint": _address("authorize"),
        "token_endpoint": _address("token"),
        "jwks_uri": _address("jwks"),
        "introspection_endpoint": _address("token-introspect"),
        "revocation_endpoint": _address("token-revoke"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": CLIENT_METHODS,
        "introspection_endpoint_auth_methods_supported": CLIENT_METHODS,
        "revocation_endpoint_auth_methods_supported": CLIENT_METHODS,
        "scopes_supported": Scope.values,
    }


@public_document
def protected_resource(resource_path: str | None = None) -> dict[str, Any]:
    """Protected resource metadata (RFC 9728), under the resource's path and without it."""
    if resource_path is not None:
        _require_path(resource_path, of=settings.AUDIENCE)
    return {
        "resource": settings.AUDIENCE,
        "authorization_servers": [settings.ISSUER],
        "jwks_uri": _address("jwks"),
        "scopes_supported": Scope.values,
        "bearer_methods_supported": ["header"],
    }


def _address(name: str) -> str:
    """From the configured issuer, never from the request's Host."""
    return settings.ISSUER + reverse(name)


def _require_path(path: str, *, of: str) -> None:
    """A document under a path describes the identifier with that path, and no other."""
    if path.strip("/") != urlsplit(of).path.strip("/"):
        raise Http404
