"""Pages for signed-in people; each family of pages has a namespace named after its URL."""

from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter

from executions.models import RESERVED_IDS
from pages.account import links as account_pages
from pages.account import sessions as session_pages
from pages.agents import changes as agent_change_pages
from pages.agents import credentials as credential_pages
from pages.agents import detail as agent_detail_pages
from pages.agents import first_use as first_use_pages
from pages.agents import listing as agent_pages
from pages.agents import registration as registration_pages
from pages.audit import views as audit_pages
from pages.docs import views as docs_pages
from pages.executions import changes as execution_changes
from pages.executions import detail as detail_pages
from pages.executions import error_states as error_state_pages
from pages.executions import errors as error_pages
from pages.executions import events as event_pages
from pages.executions import exports as execution_exports
from pages.executions import listing as execution_pages
from pages.executions import peek as execution_peek
from pages.executions import statistics as statistics_pages
from pages.executions import timeline as timeline_pages
from pages.findings import views as finding_pages
from pages.members import views as member_pages
from pages.overview import views as overview_pages
from pages.palette import views as palette_pages
from pages.requests import views as request_pages
from pages.saved_views import views as saved_view_pages
from pages.settings import organization as settings_pages
from pages.settings import resources as resource_pages


class ExecutionIdConverter(StringConverter):
    """The id of an execution, chosen by its engine, unless it is a reserved word."""

    def to_url(self, value: str) -> str:
        if value in RESERVED_IDS:
            raise ValueError("It is the word of another page.")
        return str(super().to_url(value))


class ReservedIdConverter(StringConverter):
    """The id of an execution that is a reserved word: created before these were refused, or
    imported.

    Its page has a URL that no other id can have.
    """

    regex = "|".join(sorted(RESERVED_IDS))

    def to_url(self, value: str) -> str:
        if value not in RESERVED_IDS:
            raise ValueError("It has an address of its own.")
        return str(super().to_url(value))


register_converter(ExecutionIdConverter, "execution")
register_converter(ReservedIdConverter, "reserved")

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
    path("agents/new", registration_pages.new_agent, name="new"),
    path("agents/<uuid:agent_id>", agent_detail_pages.agent, name="detail"),
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
    path("tokens/breakdown.csv", request_pages.breakdown_csv, name="breakdown_csv"),
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
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/first-token",
        first_use_pages.first_token,
        name="first_token",
    ),
    path(
        "agents/<uuid:agent_id>/credentials/<uuid:credential_id>/first-run",
        first_use_pages.first_run,
        name="first_run",
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
    path(
        "executions/errors/<str:fingerprint>/resolve",
        error_state_pages.resolve,
        name="resolve",
    ),
    path(
        "executions/errors/<str:fingerprint>/reopen",
        error_state_pages.reopen,
        name="reopen",
    ),
    path("executions/timeline", timeline_pages.timeline, name="timeline"),
    path("executions/statistics", statistics_pages.statistics, name="statistics"),
    path("executions/<execution:fid>", detail_pages.execution, name="detail"),
    path("executions/-/<reserved:fid>", detail_pages.execution, name="detail"),
    path("executions/<str:fid>/log", detail_pages.log, name="log"),
    path("executions/<str:fid>/log.txt", execution_exports.log, name="text"),
    path("executions/<str:fid>/events.jsonl", execution_exports.events, name="lines"),
    path("executions/<str:fid>/events", event_pages.events, name="events"),
    path("executions/<str:fid>/files", detail_pages.files, name="files"),
    path("executions/<str:fid>/peek", execution_peek.peek, name="peek"),
    path("executions/<str:fid>/stop", execution_changes.stop, name="stop"),
    path("executions/<str:fid>/delete", execution_changes.delete, name="delete"),
]
finding_family = [
    path("findings/snooze", finding_pages.snooze, name="snooze"),
    path("findings/snoozed", finding_pages.snoozed, name="snoozed"),
    path("findings/snoozed/<uuid:snooze_id>/end", finding_pages.end, name="end"),
]
view_family = [
    path("views/new", saved_view_pages.new_view, name="new"),
    path("views/<uuid:view_id>", saved_view_pages.open_view, name="open"),
    path("views/<uuid:view_id>/edit", saved_view_pages.edit_view, name="edit"),
    path("views/<uuid:view_id>/remove", saved_view_pages.remove_view, name="remove"),
    path("views/<uuid:view_id>/start", saved_view_pages.start_with, name="start"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview_pages.overview, name="overview"),
    path("overview/<str:name>.csv", overview_pages.csv_file, name="overview_csv"),
    path("", include((organization_family, "organizations"))),
    path("", include((agent_family, "agents"))),
    path("", include((token_family, "tokens"))),
    path("", include((execution_family, "executions"))),
    path("", include((finding_family, "findings"))),
    path("", include((view_family, "views"))),
    path("jump", palette_pages.jump, name="jump"),
    path("docs", docs_pages.api_page, name="docs"),
    path("docs/token", docs_pages.access_token, name="docs_token"),
]
