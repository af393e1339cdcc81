"""Routes of OAuth 2.0 and its metadata; API routes of sessions, credentials and resources."""

from django.urls import path

from tokens.api import sessions
from tokens.api.credentials import CredentialViewSet
from tokens.api.resources import ResourceAgentViewSet, ResourceViewSet
from tokens.oauth import authorization, metadata
from tokens.oauth.introspection import IntrospectionViewSet
from tokens.oauth.revocation import RevocationViewSet
from tokens.oauth.token import token

# Public metadata, which clients read before they authenticate (RFC 8414, RFC 9728, RFC 7517).
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
    path(".well-known/openid-configuration", metadata.openid_configuration),
    path(".well-known/openid-configuration/<path:issuer_path>", metadata.openid_configuration),
    path("<path:issuer_path>/.well-known/openid-configuration", metadata.openid_configuration),
    path("authorize", authorization.authorize, name="authorize"),
    path(
        ".well-known/oauth-protected-resource",
        metadata.protected_resource,
        name="protected-resource",
    ),
    path(".well-known/oauth-protected-resource/<path:resource_path>", metadata.protected_resource),
]

api = [
    # Tokens (OAuth 2.0)
    path("token", token, name="token"),
    path(
        "token/introspect",
        IntrospectionViewSet.as_view({"post": "introspect"}),
        name="token-introspect",
    ),
    path("token/revoke", RevocationViewSet.as_view({"post": "revoke"}), name="token-revoke"),
    # Sessions of people
    path("auth/login", sessions.LogInView.as_view(), name="auth-login"),
    path("auth/refresh", sessions.RefreshView.as_view(), name="auth-refresh"),
    path(
        "auth/session",
        sessions.SessionViewSet.as_view({"get": "retrieve"}),
        name="auth-session",
    ),
    path("auth/switch", sessions.SessionViewSet.as_view({"post": "switch"}), name="auth-switch"),
    path("auth/logout", sessions.SessionViewSet.as_view({"post": "log_out"}), name="auth-logout"),
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
        "agents/<uuid:agentId>/credentials/<uuid:credentialId>/end-old-secrets",
        CredentialViewSet.as_view({"post": "end_old"}),
        name="credential-end-old-secrets",
    ),
    path(
        "agents/<uuid:agentId>/credentials/<uuid:credentialId>",
        CredentialViewSet.as_view({"patch": "partial_update", "delete": "destroy"}),
        name="credential-detail",
    ),
    # Resources: the services that agents get tokens for
    path(
        "resources",
        ResourceViewSet.as_view({"get": "list", "post": "create"}),
        name="resource-list",
    ),
    path(
        "resources/<uuid:resourceId>",
        ResourceViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="resource-detail",
    ),
    path(
        "resources/<uuid:resourceId>/agents",
        ResourceAgentViewSet.as_view({"get": "list"}),
        name="resource-agent-list",
    ),
    path(
        "resources/<uuid:resourceId>/agents/<uuid:agentId>",
        ResourceAgentViewSet.as_view({"put": "allow", "delete": "destroy"}),
        name="resource-agent-detail",
    ),
]
