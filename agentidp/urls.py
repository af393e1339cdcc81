"""The whole URL surface on one page."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import PathConverter, StringConverter
from django.views.generic import RedirectView

from agentidp import health
from agentidp.description import DescriptionView
from agents.api import AgentViewSet
from analytics.api import AnalyticsViewSet
from executions.api.reports import ExecutionViewSet
from executions.api.storage import StorageViewSet
from executions.models import RESERVED_IDS
from organizations.api.accounts import PasswordResetView
from organizations.api.audit import AuditViewSet
from organizations.api.organizations import (
    AcceptInvitationView,
    InvitationViewSet,
    MemberViewSet,
    OrganizationViewSet,
)
from pages.account import links as account_pages
from pages.account import sessions as session_pages
from pages.agents import changes as agent_change_pages
from pages.agents import credentials as credential_pages
from pages.agents import views as agent_pages
from pages.audit import views as audit_pages
from pages.docs import views as docs_pages
from pages.executions import detail as detail_pages
from pages.executions import errors as error_pages
from pages.executions import exports as execution_exports
from pages.executions import listing as execution_pages
from pages.executions import statistics as statistics_pages
from pages.executions import timeline as timeline_pages
from pages.members import views as member_pages
from pages.overview import views as overview_pages
from pages.requests import views as request_pages
from pages.settings import organization as settings_pages
from pages.settings import resources as resource_pages
from panel.dashboard import DashboardViewSet
from panel.files import FileViewSet
from panel.outputs import OutputsViewSet, OutputViewSet
from panel.streams import StreamViewSet
from panel.timeline import TimelineViewSet
from tokens.api import sessions
from tokens.api.credentials import CredentialViewSet
from tokens.api.resources import ResourceAgentViewSet, ResourceViewSet
from tokens.oauth import authorization, metadata
from tokens.oauth import token as oauth


class FilePathConverter(PathConverter):
    """The path of a stored file: other systems let its parts have line breaks in them."""

    regex = "(?s:.+)"


class ExecutionIdConverter(StringConverter):
    """The id of an execution, which its engine chose, beside words of ours."""

    def to_url(self, value: str) -> str:
        if value in RESERVED_IDS:
            raise ValueError("It is the word of another page.")
        return str(super().to_url(value))


class ReservedIdConverter(StringConverter):
    """The id of an execution that is a word of ours: from before these were refused, or imported.

    Its page stands beside them, at an address that no other id can have.
    """

    regex = "|".join(sorted(RESERVED_IDS))

    def to_url(self, value: str) -> str:
        if value not in RESERVED_IDS:
            raise ValueError("It has an address of its own.")
        return str(super().to_url(value))


register_converter(FilePathConverter, "file")
register_converter(ExecutionIdConverter, "execution")
register_converter(ReservedIdConverter, "reserved")

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
    path("auth/password-reset", PasswordResetView.as_view(), name="auth-password-reset"),
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
        "organizations/<str:organizationId>/storage",
        StorageViewSet.as_view({"get": "retrieve"}),
        name="organization-storage",
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
    # Executions
    path(
        "executions",
        ExecutionViewSet.as_view({"get": "list", "post": "create"}),
        name="execution-list",
    ),
    path(
        "executions/<str:executionId>",
        ExecutionViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="execution-detail",
    ),
    path(
        "executions/<str:executionId>/events",
        ExecutionViewSet.as_view({"post": "append"}),
        name="execution-events",
    ),
    path(
        "executions/<str:executionId>/finish",
        ExecutionViewSet.as_view({"post": "finish"}),
        name="execution-finish",
    ),
    path(
        "executions/<str:executionId>/stop",
        ExecutionViewSet.as_view({"post": "stop"}),
        name="execution-stop",
    ),
    path(
        "executions/<str:executionId>/heartbeat",
        ExecutionViewSet.as_view({"post": "heartbeat"}),
        name="execution-heartbeat",
    ),
    path(
        "executions/<str:executionId>/files",
        ExecutionViewSet.as_view({"post": "start_upload"}),
        name="execution-files",
    ),
    path(
        "executions/<str:executionId>/uploads/<uuid:uploadId>",
        ExecutionViewSet.as_view(
            {"get": "upload", "put": "receive_part", "delete": "cancel_upload"}
        ),
        name="execution-upload",
    ),
    # Analytics
    path("analytics/tokens", AnalyticsViewSet.as_view({"get": "tokens"}), name="analytics-tokens"),
    path("analytics/agents", AnalyticsViewSet.as_view({"get": "agents"}), name="analytics-agents"),
    path(
        "analytics/agents/activity",
        AnalyticsViewSet.as_view({"get": "activity"}),
        name="analytics-activity",
    ),
    path(
        "analytics/findings",
        AnalyticsViewSet.as_view({"get": "findings"}),
        name="analytics-findings",
    ),
]

# What ran: the addresses of kodosumi's dashboard.
dashboard = [
    path(
        "running-agents",
        DashboardViewSet.as_view({"get": "running_agents"}),
        name="dashboard-running-agents",
    ),
    path("errors", DashboardViewSet.as_view({"get": "errors"}), name="dashboard-errors"),
    path(
        "error-groups",
        DashboardViewSet.as_view({"get": "error_groups"}),
        name="dashboard-error-groups",
    ),
    path("timeline", DashboardViewSet.as_view({"get": "timeline"}), name="dashboard-timeline"),
    path(
        "agent-stats",
        DashboardViewSet.as_view({"get": "agent_stats"}),
        name="dashboard-agent-stats",
    ),
    path(
        "execution/<str:fid>/details",
        DashboardViewSet.as_view({"get": "details"}),
        name="dashboard-details",
    ),
    path(
        "execution/<str:fid>/files",
        DashboardViewSet.as_view({"get": "files"}),
        name="dashboard-files",
    ),
]

# Live: an ASGI server streams, a WSGI server gives what there is (docs/decisions/0007).
streams = [
    path(f"outputs/{name}/<str:fid>", StreamViewSet.as_view({"get": name}), name=f"outputs-{name}")
    for name in ("stream", "main", "stdio")
]

# Executions in the words of kodosumi's panel: bearer tokens, and the sessions of the pages.
execution_outputs = [
    path("outputs", OutputsViewSet.as_view({"delete": "destroy_many"}), name="outputs"),
    path("outputs/<str:fid>", OutputViewSet.as_view({"delete": "destroy"}), name="output"),
    *(
        path(
            f"outputs/{name}/<str:fid>", OutputViewSet.as_view({"get": name}), name=f"output-{name}"
        )
        for name in ("status", "raw", "html")
    ),
]
execution_timeline = [
    path("timeline", TimelineViewSet.as_view({"get": "move"}), name="timeline"),
    path("timeline/list", TimelineViewSet.as_view({"get": "list_items"}), name="timeline-list"),
    path(
        "timeline/changes",
        TimelineViewSet.as_view({"get": "list_changes"}),
        name="timeline-changes",
    ),
]
execution_files = [
    pattern
    for area in ("in", "out")
    for pattern in (
        path(
            f"files/<str:fid>/{area}",
            FileViewSet.as_view({"get": "list_files"}, area=area),
            name=f"files-{area}",
        ),
        path(
            f"files/<str:fid>/{area}/<file:path>",
            FileViewSet.as_view({"get": "download"}, area=area),
            name=f"file-{area}",
        ),
    )
]

# Pages, for people in a browser who signed in. A family has the namespace of its address.
organization_family = [
    path("login", session_pages.log_in, name="log_in"),
    path("logout", session_pages.log_out, name="log_out"),
    path("password", session_pages.change_password, name="change_password"),
    path("password/reset", account_pages.ask_for_reset, name="ask_for_reset"),
    path("password/reset/<str:token>", account_pages.reset_password, name="reset_password"),
    path("email", account_pages.change_address, name="change_address"),
    path("email/confirm/<str:token>", account_pages.confirm_address, name="confirm_address"),
    path("organization", session_pages.switch, name="switch"),
    path("organizations", session_pages.choose, name="choose"),
    path("invitations/<str:token>", session_pages.accept_invitation, name="accept_invitation"),
    path("audit", audit_pages.events, name="audit"),
    path("audit/verify", audit_pages.verify, name="verify_audit"),
    path("audit/export", audit_pages.export, name="export_audit"),
    path("audit/<uuid:event_id>", audit_pages.event, name="audit_event"),
    path("members", member_pages.members, name="members"),
    path("members/invitations", member_pages.invite, name="invite"),
    path(
        "members/invitations/<uuid:invitation_id>/withdraw",
        member_pages.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("members/agents", member_pages.add_agent, name="add_agent"),
    path(
        "members/agents/<uuid:agent_id>/role",
        member_pages.change_agent_role,
        name="change_agent_role",
    ),
    path(
        "members/agents/<uuid:agent_id>/remove",
        member_pages.remove_agent,
        name="remove_agent",
    ),
    path("members/<uuid:membership_id>/role", member_pages.change_role, name="change_role"),
    path("members/<uuid:membership_id>/remove", member_pages.remove, name="remove_member"),
    path("settings", settings_pages.organization, name="settings"),
    path("settings/delete", settings_pages.delete, name="delete"),
]
agent_family = [
    path("agents", agent_pages.agents, name="list"),
    path("agents/new", agent_change_pages.new_agent, name="new"),
    path("agents/<uuid:agent_id>", agent_pages.agent, name="detail"),
    path("agents/<uuid:agent_id>/edit", agent_change_pages.edit_agent, name="edit"),
    path("agents/<uuid:agent_id>/suspend", agent_change_pages.suspend, name="suspend"),
    path("agents/<uuid:agent_id>/reactivate", agent_change_pages.reactivate, name="reactivate"),
    path(
        "agents/<uuid:agent_id>/decommission",
        agent_change_pages.decommission,
        name="decommission",
    ),
]
token_family = [
    path("tokens", request_pages.token_requests, name="list"),
    path("resources", resource_pages.resources, name="resources"),
    path("resources/new", resource_pages.new_resource, name="new_resource"),
    path("resources/<uuid:resource_id>", resource_pages.resource, name="resource"),
    path("resources/<uuid:resource_id>/edit", resource_pages.edit_resource, name="edit_resource"),
    path(
        "resources/<uuid:resource_id>/delete",
        resource_pages.delete_resource,
        name="delete_resource",
    ),
    path("resources/<uuid:resource_id>/agents", resource_pages.allow_agent, name="allow_agent"),
    path(
        "resources/<uuid:resource_id>/agents/<uuid:agent_id>/remove",
        resource_pages.remove_agent,
        name="remove_agent",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/new",
        credential_pages.new_credential,
        name="new_credential",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/rotate",
        credential_pages.rotate,
        name="rotate_credential",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/first-use",
        credential_pages.first_use,
        name="first_use",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/edit",
        credential_pages.rename,
        name="rename_credential",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/end-old-secrets",
        credential_pages.end_old,
        name="end_old_secrets",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/revoke",
        credential_pages.revoke,
        name="revoke_credential",
    ),
]
execution_family = [
    path("executions", execution_pages.executions, name="list"),
    path("executions/export", execution_exports.executions, name="export"),
    path("executions/errors", error_pages.errors, name="errors"),
    path("executions/timeline", timeline_pages.timeline, name="timeline"),
    path("executions/statistics", statistics_pages.statistics, name="statistics"),
    path("executions/<execution:fid>", detail_pages.execution, name="detail"),
    path("executions/-/<reserved:fid>", detail_pages.execution, name="detail"),
    path("executions/<str:fid>/log", detail_pages.log, name="log"),
    path("executions/<str:fid>/log.txt", execution_exports.log, name="text"),
    path("executions/<str:fid>/events.jsonl", execution_exports.events, name="lines"),
    path("executions/<str:fid>/events", detail_pages.events, name="events"),
    path("executions/<str:fid>/files", detail_pages.files, name="files"),
    path("executions/<str:fid>/stop", detail_pages.stop, name="stop"),
    path("executions/<str:fid>/delete", detail_pages.delete, name="delete"),
]
pages: list[URLPattern | URLResolver] = [
    path("", overview_pages.overview, name="overview"),
    path("overview/<str:name>.csv", overview_pages.csv_file, name="overview_csv"),
    path("", include((organization_family, "organizations"))),
    path("", include((agent_family, "agents"))),
    path("", include((token_family, "tokens"))),
    path("", include((execution_family, "executions"))),
    path("docs", docs_pages.api_page, name="docs"),
]

# For the staff of the platform: one organization at a time.
administration: list[URLPattern | URLResolver] = [
    # kodosumi's address of the executions.
    path("admin/dashboard", RedirectView.as_view(pattern_name="executions:list")),
    path("admin/dashboard/", RedirectView.as_view(pattern_name="executions:list")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *well_known,
    *operations,
    *pages,
    *administration,
    *execution_outputs,
    *execution_timeline,
    *execution_files,
    path("api/v1/", include(api)),
    path("api/dashboard/", include(dashboard)),
    *streams,
    path("api/schema", DescriptionView.as_view(), name="schema"),
]

handler400 = "core.handlers.bad_request"
handler403 = "core.handlers.permission_denied"
handler404 = "core.handlers.not_found"
handler500 = "core.handlers.server_error"
