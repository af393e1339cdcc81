"""Ids, bodies and rows for the table of endpoints: valid calls within a tenant."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from executions.event_log import NewEvent, append_events
from executions.models import now
from executions.tests.factories import FINISHED, make_execution, make_file, make_user_of
from organizations.people.links import make_link
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization
from tests.tenants import PASSWORD, Tenant
from tokens.access_tokens import PersonRefresh
from tokens.models import LoginSession
from tokens.tests.factories import make_credential, make_grant, make_resource


def new_email() -> str:
    return f"new-{uuid4().hex}@example.com"


# Ids in the path, of rows that the tenant owns.


def agent(tenant: Tenant) -> dict[str, str]:
    return {"agentId": str(tenant.agent.pk)}


def credential(tenant: Tenant) -> dict[str, str]:
    return agent(tenant) | {"credentialId": str(tenant.credential.pk)}


def rotated_credential(tenant: Tenant) -> dict[str, str]:
    rotate(tenant)
    return credential(tenant)


def rotate(tenant: Tenant) -> None:
    with organization_scope(tenant.organization):
        tenant.credential.replace_secret("sk_live_another", timedelta(hours=1), timezone.now())
        tenant.credential.save()


def organization(tenant: Tenant) -> dict[str, str]:
    return {"organizationId": tenant.organization.public_id}


def member(tenant: Tenant) -> dict[str, str]:
    return organization(tenant) | {"memberId": str(tenant.newcomer.pk)}


def invitation(tenant: Tenant) -> dict[str, str]:
    return organization(tenant) | {"invitationId": str(tenant.invitation.pk)}


def event(tenant: Tenant) -> dict[str, str]:
    return {"eventId": str(tenant.event.pk)}


def execution(tenant: Tenant) -> dict[str, str]:
    return {"executionId": tenant.execution.fid}


def ended_execution(tenant: Tenant) -> dict[str, str]:
    return {"executionId": tenant.ended_execution.fid}


def upload(tenant: Tenant) -> dict[str, str]:
    return execution(tenant) | {"uploadId": str(tenant.upload.pk)}


def failed_execution(tenant: Tenant) -> dict[str, str]:
    return {"fid": tenant.failed_execution.fid}


def error_group(tenant: Tenant) -> dict[str, str]:
    return {"fingerprint": tenant.error_group}


def resolved_group(tenant: Tenant) -> dict[str, str]:
    return {"fingerprint": tenant.resolution.fingerprint}


def agent_page(tenant: Tenant) -> dict[str, str]:
    return {"agent_id": str(tenant.agent.pk)}


def credential_page(tenant: Tenant) -> dict[str, str]:
    return agent_page(tenant) | {"credential_id": str(tenant.credential.pk)}


def rotated_credential_page(tenant: Tenant) -> dict[str, str]:
    rotate(tenant)
    return credential_page(tenant)


def resource_page(tenant: Tenant) -> dict[str, str]:
    return {"resource_id": str(tenant.resource.pk)}


def grant_page(tenant: Tenant) -> dict[str, str]:
    return resource_page(tenant) | {"agent_id": str(tenant.grant.agent_id)}


def view(tenant: Tenant) -> dict[str, str]:
    return {"view_id": str(tenant.view.pk)}


def snooze_page(tenant: Tenant) -> dict[str, str]:
    return {"snooze_id": str(tenant.snooze.pk)}


def event_page(tenant: Tenant) -> dict[str, str]:
    return {"event_id": str(tenant.event.pk)}


def invitation_page(tenant: Tenant) -> dict[str, str]:
    return {"invitation_id": str(tenant.invitation.pk)}


def membership_page(tenant: Tenant) -> dict[str, str]:
    return {"membership_id": str(tenant.newcomer.pk)}


def agent_member_page(tenant: Tenant) -> dict[str, str]:
    return {"agent_id": str(tenant.agent_member.pk)}


def live_run(tenant: Tenant) -> dict[str, str]:
    return {"fid": tenant.execution.fid}


def reserved_run(tenant: Tenant) -> dict[str, str]:
    return {"fid": tenant.reserved_execution.fid}


def ended_run(tenant: Tenant) -> dict[str, str]:
    return {"fid": tenant.ended_execution.fid}


def invitation_link(tenant: Tenant) -> dict[str, str]:
    return {"token": tenant.invite(new_email())[1].rpartition("/")[2]}


def password_link(tenant: Tenant) -> dict[str, str]:
    user = tenant.person("owner").user
    return {"token": make_link(user, "password").rpartition("/")[2]}


def fid(tenant: Tenant) -> dict[str, str]:
    return {"fid": tenant.execution.fid}


def resource(tenant: Tenant) -> dict[str, str]:
    return {"resourceId": str(tenant.resource.pk)}


def grant(tenant: Tenant) -> dict[str, str]:
    return {"resourceId": str(tenant.grant.resource_id), "agentId": str(tenant.grant.agent_id)}


# Valid bodies.


def new_agent(tenant: Tenant) -> dict[str, Any]:
    return {
        "email": new_email(),
        "agentType": "screener",
        "version": "1.0.0",
        "capabilities": ["resume:read"],
        "owner": "platform",
        "deploymentEnv": "production",
    }


def token(tenant: Tenant) -> dict[str, Any]:
    return {"token": tenant.token}


def client(tenant: Tenant) -> dict[str, Any]:
    return {
        "grant_type": "client_credentials",
        "client_id": str(tenant.agent.pk),
        "client_secret": make_credential(tenant.agent)[1],
    }


def password(tenant: Tenant) -> dict[str, Any]:
    return {"email": tenant.person("owner").user.email, "password": PASSWORD}


def new_password(tenant: Tenant) -> dict[str, Any]:
    return {"current": PASSWORD, "new": "staple battery horse correct"}


def new_address(tenant: Tenant) -> dict[str, Any]:
    return {"current": PASSWORD, "email": new_email()}


def refresh_token(tenant: Tenant) -> dict[str, Any]:
    owner = tenant.person("owner")
    session = LoginSession.objects.create(user=owner.user)
    return {"refreshToken": str(PersonRefresh.for_session(owner, session.pk))}


def invitation_token(tenant: Tenant) -> dict[str, Any]:
    return invitation_link(tenant) | {"name": "New Person", "password": PASSWORD}


def invitation_of_somebody(tenant: Tenant) -> dict[str, Any]:
    return {"email": new_email(), "role": "viewer"}


def new_member(tenant: Tenant) -> dict[str, Any]:
    return {"agentId": str(tenant.another_agent().pk), "role": "member"}


def choice(tenant: Tenant) -> dict[str, Any]:
    return {"organization": str(tenant.organization.pk)}


def agent_form(tenant: Tenant) -> dict[str, Any]:
    return {
        "email": new_email(),
        "agent_type": "screener",
        "version": "1.0.0",
        "capabilities": "resume:read",
        "owner": "platform",
        "deployment_env": "production",
    }


def registration_form(tenant: Tenant) -> dict[str, Any]:
    return agent_form(tenant) | {"has_credential": "on", "name": "prod", "expires_on": ""}


def snooze_form(tenant: Tenant) -> dict[str, Any]:
    """Of a secret that was never used."""
    agent, made = tenant.another_agent(), timezone.now() - timedelta(days=9)
    credential, _ = make_credential(agent, created_at=made)
    about = {"code": "credential_unused", "agent": agent.pk, "credential": credential.pk}
    back_on = (timezone.now() + timedelta(days=3)).date()
    return about | {"reason": "Made ahead.", "back_on": back_on}


def view_form(tenant: Tenant) -> dict[str, Any]:
    return {"list": "executions", "query": "status=error", "name": "Failed", "who": "me"}


def resource_form(tenant: Tenant) -> dict[str, Any]:
    return {
        "identifier": f"https://mcp.example.com/{uuid4()}",
        "name": "Files",
        "described_scopes": "files:read Read files\nfiles:write",
        "token_lifetime": "300",
    }


def grant_form(tenant: Tenant) -> dict[str, Any]:
    return {"agent": tenant.another_agent().email, "scopes": "files:read"}


def agent_member_form(tenant: Tenant) -> dict[str, Any]:
    return {"agent": tenant.another_agent().email, "role": "member"}


def settings_form(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": f"{tenant.word} renamed",
        "slug": tenant.word,
        "time_zone": "Europe/Berlin",
        "signing_algorithm": "ES256",
    }


def new_execution(tenant: Tenant) -> dict[str, Any]:
    return {"summary": "Weekly report", "userId": str(tenant.newcomer.user_id)}


def batch(tenant: Tenant) -> dict[str, Any]:
    return {"events": [{"kind": "stdout", "message": "hello"}]}


def new_upload(tenant: Tenant) -> dict[str, Any]:
    return {"area": "out", "path": f"reports/{uuid4().hex}.txt", "size": 5}


def new_resource(tenant: Tenant) -> dict[str, Any]:
    return {
        "identifier": f"https://mcp.example.com/{uuid4()}",
        "name": "Files",
        "scopes": [{"name": "files:read", "description": "Read files"}, {"name": "files:write"}],
        "tokenLifetimeSeconds": 300,
    }


# More rows for a list.


def more_agents(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.another_agent()


def more_credentials(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        make_credential(tenant.agent)


def more_resources(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        make_resource(tenant.organization, name=tenant.word)


def more_grants(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        make_grant(tenant.resource, tenant.another_agent())


def more_members(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.member("viewer")


def more_organizations(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        make_membership(make_organization(), "viewer", tenant.person("admin").user)


def more_invitations(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.invite(new_email())


def more_events(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.record_event()


def idle_credentials(tenant: Tenant, number: int) -> None:
    """Credentials that each cause a finding: created long ago and never used."""
    for _ in range(number):
        made = timezone.now() - timedelta(days=30)
        make_credential(tenant.another_agent(), created_at=made)


def more_executions(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.another_execution(FINISHED)


def more_own_executions(tenant: Tenant, number: int) -> None:
    """Executions of the agent and of the owner, because each has their own list."""
    user = make_user_of(tenant.person("owner"))
    for _ in range(number):
        make_execution(tenant.organization, FINISHED, start=now(), agent=tenant.agent, user=user)


def more_traffic(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.record_token_event(tenant.another_agent())


def more_failures(tenant: Tenant, number: int) -> None:
    """Failed executions of the tenant's agent, whose errors form a group each."""
    for _ in range(number):
        tenant.fail(uuid4().hex)


def more_lines(tenant: Tenant, number: int) -> None:
    """Log lines of one execution."""
    lines = [NewEvent(now(), "stdout", f"line {n} of {tenant.word}") for n in range(number)]
    with organization_scope(tenant.organization):
        append_events(tenant.failed_execution, lines, is_strict=False)


def more_files(tenant: Tenant, number: int) -> None:
    """Files of one execution, named so that they sort among existing ones."""
    for _ in range(number):
        make_file(tenant.failed_execution, path=f"{uuid4().hex}.txt")
