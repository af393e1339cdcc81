"""The whole URL surface on one page."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from agentidp import health
from agents.api import AgentViewSet
from tokens.api import metadata, oauth
from tokens.api.credentials import CredentialViewSet

# Public: what machines ask before they know anything (RFC 8414, RFC 9728, RFC 7517).
well_known = [
    path(".well-known/jwks.json", metadata.jwks, name="jwks"),
    path(
        ".well-known/oauth-authorization-server",
        metadata.authorization_server,
        name="authorization-server",
    ),
    path(
        ".well-known/oauth-authorization-server/<path:issuer_path>", metadata.authorization_server
    ),
    path(
        ".well-known/oauth-protected-resource",
        metadata.protected_resource,
        name="protected-resource",
    ),
]

# Operators' probes.
operations = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

# The REST API: bearer tokens of people and agents.
api = [
    # Tokens (OAuth 2.0)
    path("token", oauth.token, name="token"),
    path(
        "token/introspect",
        oauth.TokenViewSet.as_view({"post": "introspect"}),
        name="token-introspect",
    ),
    path("token/revoke", oauth.TokenViewSet.as_view({"post": "revoke"}), name="token-revoke"),
    # Agents
    path("agents", AgentViewSet.as_view({"get": "list", "post": "create"}), name="agent-list"),
    path(
        "agents/<uuid:agentId>",
        AgentViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="agent-detail",
    ),
    # Credentials
    path(
        "agents/<uuid:agentId>/credentials",
        CredentialViewSet.as_view({"get": "list", "post": "create"}),
        name="credential-list",
    ),
    path(
        "agents/<uuid:agentId>/credentials/<uuid:credentialId>/rotate",
        CredentialViewSet.as_view({"post": "rotate"}),
        name="credential-rotate",
    ),
    path(
        "agents/<uuid:agentId>/credentials/<uuid:credentialId>",
        CredentialViewSet.as_view({"delete": "destroy"}),
        name="credential-detail",
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *well_known,
    *operations,
    path("api/v1/", include(api)),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
]

handler400 = "agentidp.handlers.bad_request"
handler403 = "agentidp.handlers.permission_denied"
handler404 = "agentidp.handlers.not_found"
handler500 = "agentidp.handlers.server_error"
