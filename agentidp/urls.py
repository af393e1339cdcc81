"""The whole URL surface on one page."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from agentidp import health
from agents.api import AgentViewSet
from organizations.api.audit import AuditViewSet
from organizations.api.organizations import (
    AcceptInvitationView,
    InvitationViewSet,
    MemberViewSet,
    OrganizationViewSet,
)
from tokens.api import metadata, oauth, sessions
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
    # Organizations, their members and invitations
    path(
        "organizations",
        OrganizationViewSet.as_view({"get": "list", "post": "create"}),
        name="organization-list",
    ),
    path(
        "organizations/<str:organizationId>",
        OrganizationViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="organization-detail",
    ),
    path(
        "organizations/<str:organizationId>/members",
        MemberViewSet.as_view({"get": "list", "post": "create"}),
        name="member-list",
    ),
    path(
        "organizations/<str:organizationId>/members/<uuid:memberId>",
        MemberViewSet.as_view({"patch": "partial_update", "delete": "destroy"}),
        name="member-detail",
    ),
    path(
        "organizations/<str:organizationId>/invitations",
        InvitationViewSet.as_view({"get": "list", "post": "create"}),
        name="invitation-list",
    ),
    path(
        "organizations/<str:organizationId>/invitations/<uuid:invitationId>",
        InvitationViewSet.as_view({"delete": "destroy"}),
        name="invitation-detail",
    ),
    path("invitations/accept", AcceptInvitationView.as_view(), name="invitation-accept"),
    # Audit log
    path("audit", AuditViewSet.as_view({"get": "list"}), name="audit-list"),
    path("audit/verify", AuditViewSet.as_view({"get": "verify"}), name="audit-verify"),
    path("audit/export", AuditViewSet.as_view({"get": "export"}), name="audit-export"),
    path("audit/<uuid:eventId>", AuditViewSet.as_view({"get": "retrieve"}), name="audit-detail"),
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
