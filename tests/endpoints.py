"""The table of endpoints: a row for each operation, with who may call it and a valid call.

test_route_table.py compares the table with the URLs and the OpenAPI document; the tests beside it
run over all rows. A new endpoint needs one row here to be covered by all of them.
"""

from typing import Any

from tests import examples, output_examples
from tests.endpoint import CLIENT, ORGANIZATION, PAGE, PUBLIC, Endpoint
from tests.tenants import PASSWORD

AGENTS = "/api/v1/agents"
AGENT = AGENTS + "/{agentId}"
CREDENTIALS = AGENT + "/credentials"
CREDENTIAL = CREDENTIALS + "/{credentialId}"
ORGANIZATIONS = "/api/v1/organizations"
EXECUTIONS = "/api/v1/executions"
EXECUTION = EXECUTIONS + "/{executionId}"
OWN = ORGANIZATIONS + "/{organizationId}"
MEMBER = OWN + "/members/{memberId}"
INVITATION = OWN + "/invitations/{invitationId}"


CREDENTIAL_PAGES = "/agents/{agent_id}/credentials"
CREDENTIAL_PAGE = CREDENTIAL_PAGES + "/{credential_id}"
PAGE_FIELDS: dict[str, Any] = {"is_form": True, "is_documented": False}
READ, ADMIN = ("agents:read",), ("admin:orgs",)


def public(method: str, path: str, reason: str, **fields: Any) -> Endpoint:
    return Endpoint(method, path, PUBLIC, reason=reason, **fields)


def read(path: str, scope: str = "agents:read", **fields: Any) -> Endpoint:
    return Endpoint("GET", path, ORGANIZATION, (scope,), **fields)


def write(method: str, path: str, **fields: Any) -> Endpoint:
    """A write that requires agents:write, which admins and owners have."""
    fields = {"role": "admin", "scopes": ("agents:write",)} | fields
    return Endpoint(method, path, ORGANIZATION, **fields)


def administer(method: str, path: str, **fields: Any) -> Endpoint:
    fields = {"role": "admin", "ids": examples.organization} | fields
    return Endpoint(method, path, ORGANIZATION, ("admin:orgs",), **fields)


def page(path: str, method: str = "GET", **fields: Any) -> Endpoint:
    status = 200 if method == "GET" else 302
    return Endpoint(method, path, PAGE, **(PAGE_FIELDS | {"status": status} | fields))


def change_page(path: str, method: str = "POST", **fields: Any) -> Endpoint:
    fields = {"scopes": ("agents:read", "agents:write"), "role": "admin"} | fields
    return page(path, method, **fields)


def decide_page(path: str, method: str = "POST", **fields: Any) -> Endpoint:
    return change_page(path, method, scopes=(*READ, *ADMIN), **fields)


def confirmed(path: str, **fields: Any) -> tuple[Endpoint, Endpoint]:
    """A URL that asks for confirmation on GET and acts on POST."""
    return change_page(path, "GET", asks=True, **fields), change_page(path, **fields)


METADATA = [
    *(
        public("GET", f"/.well-known/{name}", "Clients ask before they have a token.")
        for name in (
            "jwks.json",
            "oauth-authorization-server",
            "oauth-protected-resource",
            "openid-configuration",
        )
    ),
    *(
        public(
            "GET",
            path,
            "The same document, for an issuer with a path (RFC 8414 section 5).",
            ids=lambda tenant: {"issuer_path": "elsewhere"},
            status=404,
            is_documented=False,
        )
        for path in (
            "/.well-known/openid-configuration/{issuer_path}",
            "/{issuer_path}/.well-known/openid-configuration",
        )
    ),
    *(
        public(
            method,
            "/authorize",
            "Refuses everybody: no response type is supported.",
            status=400,
            is_documented=False,
        )
        for method in ("GET", "POST")
    ),
    public(
        "GET",
        "/.well-known/oauth-authorization-server/{issuer_path}",
        "The same document, for an issuer with a path (RFC 8414 section 3.1).",
        ids=lambda tenant: {"issuer_path": "elsewhere"},
        status=404,
        is_documented=False,
    ),
    public(
        "GET",
        "/.well-known/oauth-protected-resource/{resource_path}",
        "The same document, for a resource with a path (RFC 9728 section 3.1).",
        ids=lambda tenant: {"resource_path": "elsewhere"},
        status=404,
        is_documented=False,
    ),
    public("GET", "/api/schema", "Describes the API, but not itself.", is_documented=False),
]

PROBES = [
    public("GET", "/livez", "Says that the process answers.", is_documented=False),
    public("GET", "/readyz", "Names neither a version nor a host.", is_documented=False),
    public("GET", "/metrics", "Checks its own token, or the address.", is_documented=False),
]

TOKENS = [
    Endpoint("POST", "/api/v1/token", CLIENT, body=examples.client, is_form=True),
    Endpoint(
        "POST",
        "/api/v1/token/introspect",
        CLIENT,
        ("tokens:read",),
        role="operator",
        body=examples.token,
        references=("token",),
        is_form=True,
    ),
    Endpoint(
        "POST",
        "/api/v1/token/revoke",
        CLIENT,
        ("tokens:read",),
        role="operator",
        # Test_revoke_token.py covers whose token it is.
        body=lambda tenant: {"token": "that nobody issued"},
        is_form=True,
    ),
]

SESSIONS = [
    public("POST", "/api/v1/auth/login", "The password is the proof.", body=examples.password),
    public(
        "POST",
        "/api/login",
        "The password is the proof.",
        body=lambda tenant: {"name": tenant.person("owner").user.email, "password": PASSWORD},
    ),
    public(
        "POST",
        "/api/v1/auth/refresh",
        "The refresh token is the proof.",
        body=examples.refresh_token,
    ),
    public(
        "POST",
        "/api/v1/auth/password-reset",
        "Whoever forgot a password cannot sign in.",
        body=lambda tenant: {"email": tenant.person("owner").user.email},
        status=409,  # the tests' deployment sends no mail
    ),
    Endpoint("GET", "/api/v1/auth/session", ORGANIZATION),
    Endpoint(
        "POST",
        "/api/v1/auth/switch",
        ORGANIZATION,
        caller="person",
        body=examples.organization,
        references=("organizationId",),
    ),
    Endpoint("POST", "/api/v1/auth/logout", ORGANIZATION, caller="person", status=204),
]

ADMINISTRATION = [
    administer(
        "GET",
        ORGANIZATIONS,
        caller="person",
        ids=lambda tenant: {},
        rows=examples.more_organizations,
    ),
    administer(
        "POST",
        ORGANIZATIONS,
        caller="person",
        ids=lambda tenant: {},
        body=lambda tenant: {"name": "Another Organization"},
        status=201,
    ),
    administer("GET", OWN),
    administer("GET", OWN + "/storage"),
    administer("PATCH", OWN, body=lambda tenant: {"timeZone": "Europe/Berlin"}),
    administer("DELETE", OWN, caller="person", role="owner", status=204),
    administer("GET", OWN + "/members", rows=examples.more_members),
    administer(
        "POST", OWN + "/members", body=examples.new_member, references=("agentId",), status=201
    ),
    administer("PATCH", MEMBER, ids=examples.member, body=lambda tenant: {"role": "operator"}),
    administer("DELETE", MEMBER, ids=examples.member, status=204),
    administer("GET", OWN + "/invitations", rows=examples.more_invitations),
    administer("POST", OWN + "/invitations", body=examples.invitation_of_somebody, status=201),
    administer("DELETE", INVITATION, ids=examples.invitation, status=204),
    public(
        "POST",
        "/api/v1/invitations/accept",
        "The invitation's secret is the proof; the invited person may be a stranger.",
        body=examples.invitation_token,
        status=201,
    ),
]

AUDIT = [
    read("/api/v1/audit", "audit:read", role="operator", rows=examples.more_events),
    read("/api/v1/audit/verify", "audit:read", role="operator"),
    read("/api/v1/audit/export", "audit:read", role="operator"),
    read("/api/v1/audit/{eventId}", "audit:read", role="operator", ids=examples.event),
]

REGISTRY = [
    read(AGENTS, rows=examples.more_agents),
    write("POST", AGENTS, body=examples.new_agent, status=201),
    read(AGENT, ids=examples.agent),
    write("PATCH", AGENT, ids=examples.agent, body=lambda tenant: {"owner": "somebody else"}),
    write("DELETE", AGENT, ids=examples.agent, status=204),
    read(CREDENTIALS, ids=examples.agent, rows=examples.more_credentials),
    write(
        "POST",
        CREDENTIALS,
        caller="itself",
        ids=examples.agent,
        body=lambda tenant: {"expiresAt": "2999-01-01T00:00:00Z"},
        status=201,
    ),
    write(
        "POST",
        CREDENTIAL + "/rotate",
        caller="itself",
        ids=examples.credential,
        body=lambda tenant: {"graceSeconds": 60},
    ),
    write(
        "POST", CREDENTIAL + "/end-old-secrets", caller="itself", ids=examples.rotated_credential
    ),
    write(
        "PATCH",
        CREDENTIAL,
        caller="itself",
        ids=examples.credential,
        body=lambda tenant: {"name": "prod, k8s"},
    ),
    write("DELETE", CREDENTIAL, caller="itself", ids=examples.credential, status=204),
]

RESOURCES = "/api/v1/resources"
RESOURCE = RESOURCES + "/{resourceId}"


def decide(method: str, path: str, **fields: Any) -> Endpoint:
    """A change of resources, which requires an administrator."""
    fields = {"role": "admin", "scopes": ADMIN} | fields
    return Endpoint(method, path, ORGANIZATION, **fields)


RECEIVERS = [
    read(RESOURCES, rows=examples.more_resources),
    decide("POST", RESOURCES, body=examples.new_resource, status=201),
    read(RESOURCE, ids=examples.resource),
    decide("PATCH", RESOURCE, ids=examples.resource, body=lambda tenant: {"name": "Files"}),
    decide("DELETE", RESOURCE, ids=examples.resource, status=204),
    read(RESOURCE + "/agents", ids=examples.resource, rows=examples.more_grants),
    decide(
        "PUT",
        RESOURCE + "/agents/{agentId}",
        ids=examples.grant,
        body=lambda tenant: {"scopes": ["files:read"]},
    ),
    decide("DELETE", RESOURCE + "/agents/{agentId}", ids=examples.grant, status=204),
]


def control(method: str, path: str, **fields: Any) -> Endpoint:
    """A change of an execution by its agent or an operator."""
    return Endpoint(
        method,
        path,
        ORGANIZATION,
        ("executions:write",),
        **({"caller": "itself", "role": "operator"} | fields),
    )


def report(method: str, path: str, **fields: Any) -> Endpoint:
    """A report that only the execution's agent may make."""
    return control(method, path, **({"role": "", "ids": examples.execution} | fields))


EXECUTION_REPORTS = [
    read(EXECUTIONS, "executions:read", caller="itself", rows=examples.more_executions),
    report(
        "POST",
        EXECUTIONS,
        ids=lambda tenant: {},
        body=examples.new_execution,
        references=("userId",),
        status=201,
    ),
    read(EXECUTION, "executions:read", caller="itself", ids=examples.execution),
    report("PATCH", EXECUTION, body=lambda tenant: {"costUsd": "0.25"}),
    control("DELETE", EXECUTION, ids=examples.ended_execution, status=204),
    report("POST", EXECUTION + "/events", body=examples.batch),
    report("POST", EXECUTION + "/finish", body=lambda tenant: {"status": "finished"}),
    control("POST", EXECUTION + "/stop", ids=examples.execution),
    report("POST", EXECUTION + "/heartbeat", body=lambda tenant: {"leaseSeconds": 30}),
    report("POST", EXECUTION + "/files", body=examples.new_upload, status=201),
    read(
        EXECUTION + "/uploads/{uploadId}",
        "executions:read",
        caller="itself",
        ids=examples.upload,
    ),
    report(
        "PUT",
        EXECUTION + "/uploads/{uploadId}",
        ids=examples.upload,
        content=b"whole",
    ),
    report("DELETE", EXECUTION + "/uploads/{uploadId}", ids=examples.upload, status=204),
]

ANALYTICS = [
    Endpoint("GET", f"/api/v1/analytics/{name}", ORGANIZATION, rows=examples.more_traffic)
    for name in ("tokens", "agents", "agents/activity")
] + [
    Endpoint("GET", "/api/v1/analytics/findings", ORGANIZATION, rows=examples.idle_credentials),
    read("/api/v1/analytics/requests", rows=examples.more_traffic, rows_key="agents"),
]

EXECUTION_DASHBOARD = [
    *(
        read(
            f"/api/dashboard/{name}",
            "executions:read",
            caller="itself",
            rows=examples.more_failures,
            rows_key=key,
        )
        for name, key in (
            ("running-agents", "agents"),
            ("errors", "errors"),
            ("error-groups", "groups"),
            ("timeline", "executions"),
        )
    ),
    *(
        control(
            method,
            "/api/dashboard/error-groups/{fingerprint}/resolution",
            caller="person",
            **fields,
        )
        for method, fields in (
            (
                "PUT",
                {
                    "ids": examples.error_group,
                    "body": lambda tenant: {"note": f"Fixed by {tenant.word}."},
                },
            ),
            ("DELETE", {"ids": examples.resolved_group, "status": 204}),
        )
    ),
    read("/api/dashboard/agent-stats", "executions:read"),
    *(
        read(
            f"/api/dashboard/execution/{{fid}}/{name}",
            "executions:read",
            caller="itself",
            ids=examples.failed_execution,
            rows=rows,
            rows_key=key,
        )
        for name, key, rows in (
            ("details", "events", examples.more_lines),
            ("files", "downloads", examples.more_files),
        )
    ),
]

EXECUTION_STREAMS = [
    read(f"/outputs/{name}/{{fid}}", "executions:read", caller="itself", ids=examples.fid)
    for name in ("stream", "main", "stdio")
]

EXECUTION_OUTPUTS = [
    *(read(f"/timeline{name}", "executions:read", caller="itself") for name in ("", "/changes")),
    read(
        "/timeline/list",
        "executions:read",
        caller="itself",
        rows=examples.more_own_executions,
        rows_key="items",
    ),
    *(
        read(
            path,
            "executions:read",
            caller="itself",
            ids=ids,
        )
        for path, ids in {
            "/outputs/status/{fid}": output_examples.output,
            "/outputs/raw/{fid}": output_examples.output,
            "/outputs/html/{fid}": output_examples.output,
            "/files/{fid}/in": output_examples.output,
            "/files/{fid}/out": output_examples.output,
            "/files/{fid}/in/{path}": output_examples.file_in,
            "/files/{fid}/out/{path}": output_examples.file_out,
        }.items()
    ),
    *(
        write(
            "DELETE",
            path,
            scopes=("executions:write",),
            role="operator",
            caller="itself",
            status=204,
            **what,
        )
        for path, what in {
            "/outputs/{fid}": {"ids": output_examples.output},
            "/outputs": {"body": output_examples.outputs},
        }.items()
    ),
]

OPEN_PAGES = [
    public("GET", "/login", "Where people sign in.", is_documented=False),
    public(
        "POST",
        "/login",
        "The password is the proof.",
        body=examples.password,
        is_form=True,
        status=302,
        is_documented=False,
    ),
    public("GET", "/password/reset", "Who forgot it cannot sign in.", is_documented=False),
    public(
        "POST",
        "/password/reset",
        "Who forgot it cannot sign in.",
        body=lambda tenant: {"email": tenant.person("owner").user.email},
        is_form=True,
        is_documented=False,
    ),
    public(
        "GET",
        "/password/reset/{token}",
        "The link's secret is the proof.",
        ids=examples.password_link,
        is_documented=False,
    ),
    public(
        "POST",
        "/password/reset/{token}",
        "The link's secret is the proof.",
        ids=examples.password_link,
        body=lambda tenant: {"new": "staple battery horse correct"},
        is_form=True,
        status=302,
        is_documented=False,
    ),
    public(
        "GET",
        "/invitations/{token}",
        "The invitation's secret is the proof; the invited person may be a stranger.",
        ids=examples.invitation_link,
        is_documented=False,
    ),
    public(
        "POST",
        "/invitations/{token}",
        "The invitation's secret is the proof; the invited person may be a stranger.",
        ids=examples.invitation_link,
        body=lambda tenant: {"name": "New Person", "password": PASSWORD},
        is_form=True,
        status=302,
        is_documented=False,
    ),
]

OWN_PAGES = [
    page("/"),
    page("/overview/{name}.csv", ids=lambda tenant: {"name": "tokens"}),
    page("/docs"),
    page("/docs/token", "POST", status=200),
    page("/jump"),
    page("/organizations"),
    page("/organization", "POST", body=examples.choice),
    page("/password"),
    page("/password", "POST", body=examples.new_password),
    page("/email"),
    page("/email", "POST", body=examples.new_address),
    *(
        page(
            "/email/confirm/{token}", method, ids=lambda tenant: {"token": "another's"}, status=404
        )
        for method in ("GET", "POST")  # test_change_address.py opens a valid link
    ),
    page("/logout", "POST"),
    page("/agents", scopes=READ),
    page("/agents/{agent_id}", scopes=READ, ids=examples.agent_page),
    page(CREDENTIAL_PAGE + "/first-token", scopes=READ, ids=examples.credential_page),
    page(
        CREDENTIAL_PAGE + "/first-run",
        scopes=(*READ, "executions:read"),
        ids=examples.credential_page,
    ),
    page("/tokens", scopes=READ),
    page("/tokens/breakdown.csv", scopes=READ),
    page("/resources", scopes=READ),
    page("/resources/{resource_id}", scopes=READ, ids=examples.resource_page),
    page("/members"),
    page("/audit", scopes=("audit:read",), role="operator"),
    page("/audit/{event_id}", scopes=("audit:read",), role="operator", ids=examples.event_page),
    page("/audit/export", scopes=("audit:read",), role="operator"),
    page("/audit/verify", "POST", scopes=("audit:read",), role="operator"),
]

CHANGING_PAGES = [
    change_page("/agents/new", "GET"),
    change_page("/agents/new", body=examples.registration_form, status=200),
    change_page("/agents/{agent_id}/edit", "GET", ids=examples.agent_page),
    change_page("/agents/{agent_id}/edit", ids=examples.agent_page, body=examples.agent_form),
    *confirmed("/agents/{agent_id}/suspend", ids=examples.agent_page),
    *confirmed("/agents/{agent_id}/reactivate", ids=examples.agent_page),
    *confirmed("/agents/{agent_id}/decommission", ids=examples.agent_page),
    change_page(CREDENTIAL_PAGES + "/new", "GET", ids=examples.agent_page),
    change_page(CREDENTIAL_PAGES + "/new", ids=examples.agent_page, status=200),
    change_page(CREDENTIAL_PAGE + "/rotate", "GET", ids=examples.credential_page),
    change_page(
        CREDENTIAL_PAGE + "/rotate",
        ids=examples.credential_page,
        body=lambda tenant: {"grace_seconds": 3600},
        status=200,
    ),
    change_page(CREDENTIAL_PAGE + "/edit", "GET", ids=examples.credential_page),
    change_page(
        CREDENTIAL_PAGE + "/edit",
        ids=examples.credential_page,
        body=lambda tenant: {"name": "prod, k8s"},
    ),
    *confirmed(CREDENTIAL_PAGE + "/end-old-secrets", ids=examples.rotated_credential_page),
    *confirmed(CREDENTIAL_PAGE + "/revoke", ids=examples.credential_page),
    decide_page("/resources/new", "GET"),
    decide_page("/resources/new", body=examples.resource_form),
    decide_page("/resources/{resource_id}/edit", "GET", ids=examples.resource_page),
    decide_page(
        "/resources/{resource_id}/edit", ids=examples.resource_page, body=examples.resource_form
    ),
    *confirmed(
        "/resources/{resource_id}/delete", scopes=(*READ, *ADMIN), ids=examples.resource_page
    ),
    decide_page(
        "/resources/{resource_id}/agents", ids=examples.resource_page, body=examples.grant_form
    ),
    *confirmed(
        "/resources/{resource_id}/agents/{agent_id}/remove",
        scopes=(*READ, *ADMIN),
        ids=examples.grant_page,
    ),
    change_page(
        "/members/invitations",
        scopes=ADMIN,
        body=examples.invitation_of_somebody,
        status=200,
    ),
    *confirmed(
        "/members/invitations/{invitation_id}/withdraw",
        scopes=ADMIN,
        ids=examples.invitation_page,
    ),
    change_page(
        "/members/{membership_id}/role",
        scopes=ADMIN,
        ids=examples.membership_page,
        body=lambda tenant: {"role": "operator"},
    ),
    *confirmed("/members/{membership_id}/remove", scopes=ADMIN, ids=examples.membership_page),
    change_page("/members/agents", scopes=ADMIN, body=examples.agent_member_form),
    change_page(
        "/members/agents/{agent_id}/role",
        scopes=ADMIN,
        ids=examples.agent_member_page,
        body=lambda tenant: {"role": "admin"},
    ),
    *confirmed("/members/agents/{agent_id}/remove", scopes=ADMIN, ids=examples.agent_member_page),
    change_page("/settings", "GET", scopes=ADMIN),
    change_page("/settings", scopes=ADMIN, body=examples.settings_form),
    change_page(
        "/settings/delete",
        scopes=ADMIN,
        role="owner",
        body=lambda tenant: {"name": tenant.organization.name},
    ),
]

SHARED_VIEW: dict[str, Any] = {"role": "operator", "ids": examples.view}
VIEW_PAGES = [
    page("/views/new", status=404),  # test_saved_views.py names a list
    page("/views/new", "POST", body=examples.view_form),
    page("/views/{view_id}", ids=examples.view, status=302),
    page("/views/{view_id}/edit", **SHARED_VIEW),
    page("/views/{view_id}/edit", "POST", body=examples.view_form, **SHARED_VIEW),
    page(
        "/views/{view_id}/start",
        "POST",
        ids=examples.view,
        body=lambda tenant: {"wanted": "yes"},
    ),
    *confirmed("/views/{view_id}/remove", scopes=(), **SHARED_VIEW),
]

FINDING_PAGES = [
    change_page("/findings/snooze", "GET", status=404),  # test_snoozes.py names a finding
    change_page("/findings/snooze", body=examples.snooze_form),
    page("/findings/snoozed"),
    *confirmed("/findings/snoozed/{snooze_id}/end", ids=examples.snooze_page),
]

READ_RUNS = ("executions:read",)
EXECUTION_PAGES = [
    *(
        page(f"/executions{path}", scopes=READ_RUNS)
        for path in ("", "/export", "/errors", "/timeline", "/statistics")
    ),
    *(
        page("/executions/{fid}" + path, scopes=READ_RUNS, ids=examples.live_run)
        for path in ("", "/log", "/log.txt", "/events", "/events.jsonl")
    ),
    *(
        change_page(
            f"/executions/errors/{{fingerprint}}/{word}",
            scopes=(*READ_RUNS, "executions:write"),
            role="operator",
            ids=ids,
            body=lambda tenant: {"note": f"Fixed by {tenant.word}."},
        )
        for word, ids in (
            ("resolve", examples.error_group),
            ("reopen", examples.resolved_group),
        )
    ),
    page("/executions/-/{fid}", scopes=READ_RUNS, ids=examples.reserved_run),
    page("/executions/{fid}/files", scopes=READ_RUNS, ids=examples.live_run, status=302),
    page("/executions/{fid}/peek", scopes=READ_RUNS, ids=examples.live_run, status=302),
    *confirmed(
        "/executions/{fid}/stop",
        scopes=(*READ_RUNS, "executions:write"),
        role="operator",
        ids=examples.live_run,
    ),
    *confirmed(
        "/executions/{fid}/delete",
        scopes=(*READ_RUNS, "executions:write"),
        role="operator",
        ids=examples.ended_run,
    ),
]

ENDPOINTS = [
    *METADATA,
    *PROBES,
    *TOKENS,
    *SESSIONS,
    *ADMINISTRATION,
    *AUDIT,
    *REGISTRY,
    *RECEIVERS,
    *EXECUTION_REPORTS,
    *ANALYTICS,
    *EXECUTION_DASHBOARD,
    *EXECUTION_STREAMS,
    *EXECUTION_OUTPUTS,
    *OPEN_PAGES,
    *OWN_PAGES,
    *CHANGING_PAGES,
    *FINDING_PAGES,
    *VIEW_PAGES,
    *EXECUTION_PAGES,
]

BEARER = [
    each
    for each in ENDPOINTS
    if each.access == ORGANIZATION or (each.scopes and each.access == CLIENT)
]
"""Endpoints that accept a bearer token."""
PAGES = [each for each in ENDPOINTS if each.access == PAGE]
QUESTIONS = [each for each in PAGES if each.asks]
