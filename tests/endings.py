"""Ways for a token or session to end. Each takes the tenant and returns the token to present."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
from django.test import Client
from django.utils import timezone

from agents.actions import decommission_agent, suspend_agent
from agents.models import Agent
from organizations.actions import delete_organization, remove_member
from organizations.actors import Actor
from organizations.models import Organization
from tests.tenants import Tenant
from tokens.access_tokens import PersonRefresh
from tokens.actions import revoke_credential
from tokens.models import MAX_SESSION, Credential, LoginSession
from tokens.sessions import end_session
from tokens.tests.factories import access_token_for


def system(tenant: Tenant) -> Actor:
    return Actor.for_system(tenant.organization, "test")


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def credential_of(tenant: Tenant) -> Credential:
    found: Credential = Credential.objects.get(pk=UUID(claims_of(tenant.token)["credential_id"]))
    return found


def revoked(tenant: Tenant) -> str:
    bearer = Client(headers={"Authorization": f"Bearer {tenant.token}"})
    answer = bearer.post(
        "/api/v1/token/revoke",
        f"token={tenant.token}",
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200
    return tenant.token


def of_a_suspended_agent(tenant: Tenant) -> str:
    suspend_agent(tenant.agent, actor=system(tenant))
    return tenant.token


def of_a_decommissioned_agent(tenant: Tenant) -> str:
    decommission_agent(tenant.agent, actor=system(tenant))
    return tenant.token


def of_a_revoked_credential(tenant: Tenant) -> str:
    revoke_credential(credential_of(tenant), actor=system(tenant))
    return tenant.token


def of_an_expired_credential(tenant: Tenant) -> str:
    expired_at = timezone.now() - timedelta(seconds=1)
    Credential.objects.filter(pk=credential_of(tenant).pk).update(expires_at=expired_at)
    return tenant.token


def of_a_suspended_organization(tenant: Tenant) -> str:
    Organization.objects.filter(pk=tenant.organization.pk).update(status="suspended")
    return tenant.token


def of_an_ended_session(tenant: Tenant) -> str:
    owner = tenant.person("owner")
    session = LoginSession.objects.create(user=owner.user)
    refresh = PersonRefresh.for_session(owner, session.pk)
    end_session(session)
    return str(refresh.access_token)


def of_a_session_too_old(tenant: Tenant) -> str:
    owner = tenant.person("owner")
    began = timezone.now() - MAX_SESSION - timedelta(seconds=1)
    session = LoginSession.objects.create(user=owner.user, created_at=began)
    return str(PersonRefresh.for_session(owner, session.pk).access_token)


def of_a_locked_account(tenant: Tenant) -> str:
    token = access_token_for(tenant.person("admin"))
    user = tenant.person("admin").user
    user.is_active = False
    user.save(update_fields=["is_active"])
    return token


def of_a_former_member(tenant: Tenant) -> str:
    token = access_token_for(tenant.person("admin"))
    remove_member(tenant.person("admin"), actor=Actor.for_person(tenant.person("owner")))
    return token


def of_a_changed_password(tenant: Tenant) -> str:
    token = access_token_for(tenant.person("admin"))
    user = tenant.person("admin").user
    user.set_password("another sentence than before")
    user.save()
    return token


def of_a_deleted_organization(tenant: Tenant) -> str:
    token = access_token_for(tenant.person("owner"))
    Agent.objects.update(status=Agent.Status.SUSPENDED)
    delete_organization(tenant.organization, actor=Actor.for_person(tenant.person("owner")))
    return token
