"""The operationId and the summary of each operation in the OpenAPI document.

Generated clients rely on the ids, so they do not change when a view does. A summary begins with a
verb and fits on one line of the API page; anything longer belongs into the view's docstring.
"""

from django.core.exceptions import ImproperlyConfigured

SUMMARIES: dict[str, tuple[str, str]] = {
    # Agents
    "GET /api/v1/agents": ("list_agents", "List agents"),
    "POST /api/v1/agents": ("register_agent", "Register an agent"),
    "GET /api/v1/agents/{agentId}": ("get_agent", "Get an agent"),
    "PATCH /api/v1/agents/{agentId}": ("change_agent", "Change, suspend or reactivate an agent"),
    "DELETE /api/v1/agents/{agentId}": ("decommission_agent", "Decommission an agent"),
    "GET /api/v1/agents/{agentId}/credentials": ("list_credentials", "List credentials"),
    "POST /api/v1/agents/{agentId}/credentials": ("create_credential", "Create a credential"),
    "DELETE /api/v1/agents/{agentId}/credentials/{credentialId}": (
        "revoke_credential",
        "Revoke a credential",
    ),
    "PATCH /api/v1/agents/{agentId}/credentials/{credentialId}": (
        "rename_credential",
        "Rename a credential",
    ),
    "POST /api/v1/agents/{agentId}/credentials/{credentialId}/end-old-secrets": (
        "end_old_secrets",
        "End a credential's old secrets",
    ),
    "POST /api/v1/agents/{agentId}/credentials/{credentialId}/rotate": (
        "rotate_credential",
        "Rotate a credential's secret",
    ),
    # Analytics
    "GET /api/v1/analytics/agents": ("count_tokens_by_agent", "Count a month's tokens by agent"),
    "GET /api/v1/analytics/agents/activity": (
        "count_requests_by_hour",
        "Count token requests by weekday and hour",
    ),
    "GET /api/v1/analytics/findings": ("list_findings", "List findings"),
    "GET /api/v1/analytics/requests": ("break_down_requests", "Break down token requests"),
    "GET /api/v1/analytics/tokens": ("count_tokens_by_day", "Count tokens by day"),
    # Audit
    "GET /api/v1/audit": ("list_audit_events", "List audit events"),
    "GET /api/v1/audit/export": ("export_audit_log", "Export the audit log"),
    "GET /api/v1/audit/verify": ("verify_audit_log", "Verify the audit log"),
    "GET /api/v1/audit/{eventId}": ("get_audit_event", "Get an audit event"),
    # Dashboard
    "GET /api/dashboard/agent-stats": ("get_statistics", "Get statistics on executions"),
    "GET /api/dashboard/error-groups": ("list_error_groups", "List error groups"),
    "PUT /api/dashboard/error-groups/{fingerprint}/resolution": (
        "resolve_error_group",
        "Resolve an error group",
    ),
    "DELETE /api/dashboard/error-groups/{fingerprint}/resolution": (
        "reopen_error_group",
        "Reopen an error group",
    ),
    "GET /api/dashboard/errors": ("list_errors", "List errors"),
    "GET /api/dashboard/execution/{fid}/details": (
        "get_execution_details",
        "Get an execution with its events",
    ),
    "GET /api/dashboard/execution/{fid}/files": (
        "get_execution_files",
        "List an execution's files by area",
    ),
    "GET /api/dashboard/running-agents": (
        "list_running_agents",
        "List executions in a time window",
    ),
    "GET /api/dashboard/timeline": (
        "get_dashboard_timeline",
        "Get the number of executions over time",
    ),
    # Executions
    "GET /api/v1/executions": ("list_executions", "List executions"),
    "POST /api/v1/executions": ("create_execution", "Report a new execution"),
    "GET /api/v1/executions/{executionId}": ("get_execution", "Get an execution"),
    "PATCH /api/v1/executions/{executionId}": (
        "change_execution",
        "Add tokens, cost or a summary to an execution",
    ),
    "DELETE /api/v1/executions/{executionId}": ("delete_execution", "Delete an execution"),
    "POST /api/v1/executions/{executionId}/events": ("append_events", "Append events"),
    "POST /api/v1/executions/{executionId}/files": ("announce_file", "Announce a file"),
    "POST /api/v1/executions/{executionId}/finish": ("finish_execution", "Finish an execution"),
    "POST /api/v1/executions/{executionId}/heartbeat": (
        "renew_lease",
        "Renew or take an execution's lease",
    ),
    "POST /api/v1/executions/{executionId}/stop": ("stop_execution", "Stop an execution"),
    "GET /api/v1/executions/{executionId}/uploads/{uploadId}": (
        "get_upload",
        "Get an upload's progress",
    ),
    "PUT /api/v1/executions/{executionId}/uploads/{uploadId}": (
        "upload_part",
        "Upload a part of a file",
    ),
    "DELETE /api/v1/executions/{executionId}/uploads/{uploadId}": (
        "delete_upload",
        "Delete an unfinished upload",
    ),
    # Files
    **{
        f"GET /files/{{fid}}/{area}": (f"list_{area}_files", f"List {kind} files")
        for area, kind in (("in", "input"), ("out", "output"))
    },
    **{
        f"GET /files/{{fid}}/{area}/{{path}}": (
            f"download_{area}_file",
            f"Download an {kind} file",
        )
        for area, kind in (("in", "input"), ("out", "output"))
    },
    # Invitations
    "GET /api/v1/organizations/{organizationId}/invitations": (
        "list_invitations",
        "List invitations",
    ),
    "POST /api/v1/organizations/{organizationId}/invitations": (
        "invite_person",
        "Invite a person",
    ),
    "DELETE /api/v1/organizations/{organizationId}/invitations/{invitationId}": (
        "revoke_invitation",
        "Revoke an invitation",
    ),
    "POST /api/v1/invitations/accept": ("accept_invitation", "Accept an invitation"),
    # Members
    "GET /api/v1/organizations/{organizationId}/members": ("list_members", "List members"),
    "POST /api/v1/organizations/{organizationId}/members": (
        "add_member",
        "Add an agent as a member, or invite a person",
    ),
    "PATCH /api/v1/organizations/{organizationId}/members/{memberId}": (
        "change_role",
        "Change a member's role",
    ),
    "DELETE /api/v1/organizations/{organizationId}/members/{memberId}": (
        "remove_member",
        "Remove a member",
    ),
    # Metadata
    "GET /.well-known/jwks.json": ("get_keys", "Get the public keys"),
    "GET /.well-known/oauth-authorization-server": (
        "get_server_metadata",
        "Get the authorization server's metadata",
    ),
    "GET /.well-known/oauth-protected-resource": (
        "get_resource_metadata",
        "Get the API's metadata as a protected resource",
    ),
    "GET /.well-known/openid-configuration": (
        "get_openid_configuration",
        "Get the metadata at the OpenID Connect path",
    ),
    # Organizations
    "GET /api/v1/organizations": ("list_organizations", "List organizations"),
    "POST /api/v1/organizations": ("create_organization", "Create an organization"),
    "GET /api/v1/organizations/{organizationId}": ("get_organization", "Get an organization"),
    "GET /api/v1/organizations/{organizationId}/storage": (
        "get_storage",
        "Get storage usage and limits",
    ),
    "PATCH /api/v1/organizations/{organizationId}": (
        "change_organization",
        "Change an organization",
    ),
    "DELETE /api/v1/organizations/{organizationId}": (
        "delete_organization",
        "Delete an organization",
    ),
    # Outputs
    "DELETE /outputs": ("delete_outputs", "Delete several executions"),
    "DELETE /outputs/{fid}": ("delete_output", "Stop and delete an execution"),
    "GET /outputs/html/{fid}": ("get_output_page", "Get the final result as a page"),
    "GET /outputs/main/{fid}": (
        "stream_main",
        "Stream the status, inputs and results of an execution",
    ),
    "GET /outputs/raw/{fid}": ("get_output", "Get the final result as JSON"),
    "GET /outputs/status/{fid}": ("get_output_status", "Get an execution's status"),
    "GET /outputs/stdio/{fid}": ("stream_stdio", "Stream the output lines of an execution"),
    "GET /outputs/stream/{fid}": ("stream_events", "Stream all events of an execution"),
    # Resources
    "GET /api/v1/resources": ("list_resources", "List resources"),
    "POST /api/v1/resources": ("register_resource", "Register a resource"),
    "GET /api/v1/resources/{resourceId}": ("get_resource", "Get a resource"),
    "PATCH /api/v1/resources/{resourceId}": ("change_resource", "Change a resource"),
    "DELETE /api/v1/resources/{resourceId}": ("delete_resource", "Delete a resource"),
    "GET /api/v1/resources/{resourceId}/agents": (
        "list_resource_agents",
        "List the agents that may use a resource",
    ),
    "PUT /api/v1/resources/{resourceId}/agents/{agentId}": (
        "allow_agent",
        "Allow an agent to use a resource",
    ),
    "DELETE /api/v1/resources/{resourceId}/agents/{agentId}": (
        "disallow_agent",
        "Stop an agent from using a resource",
    ),
    # Sessions
    "POST /api/v1/auth/login": ("log_in", "Sign in"),
    "POST /api/login": ("log_in_for_key", "Sign in for a key, as kodosumi's clients do"),
    "POST /api/v1/auth/logout": ("log_out", "Sign out"),
    "POST /api/v1/auth/password-reset": ("request_password_reset", "Request a new password"),
    "POST /api/v1/auth/refresh": ("refresh_session", "Refresh the tokens of a session"),
    "GET /api/v1/auth/session": ("get_session", "Get the current session"),
    "POST /api/v1/auth/switch": ("switch_organization", "Switch to another organization"),
    # Timeline
    "GET /timeline": ("get_timeline_view", "Get what has changed in your list of executions"),
    "GET /timeline/changes": ("list_timeline_changes", "List changes of your executions"),
    "GET /timeline/list": ("list_timeline", "List your executions"),
    # Tokens
    "POST /api/v1/token": ("create_token", "Get an access token"),
    "POST /api/v1/token/introspect": ("introspect_token", "Introspect a token"),
    "POST /api/v1/token/revoke": ("revoke_token", "Revoke a token"),
}


def named(method: str, path: str) -> tuple[str, str]:
    """The operationId and the summary of an operation.

    Raise ImproperlyConfigured if it has none.
    """
    try:
        return SUMMARIES[f"{method.upper()} {path}"]
    except KeyError as error:
        sentence = f"{method} {path} has no line in core/operation_names.py."
        raise ImproperlyConfigured(sentence) from error
