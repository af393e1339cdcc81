"""Credentials and sessions ended by a suspension stay ended after it is lifted; only new ones
work, immediately.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.actions import reactivate_agent, suspend_agent
from organizations.actions import (
    reactivate_organization,
    remove_member,
    set_person_active,
    suspend_organization,
)
from organizations.actors import Actor
from organizations.models import Membership
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tests.audience import Audience, ended_viewers
from tests.tenants import PASSWORD, Tenant
from tokens.access_tokens import PersonRefresh
from tokens.actions import create_credential
from tokens.models import LoginSession
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for

SESSION = "/api/v1/auth/session"


@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant("ours")


def status_of(token: str) -> int:
    return Client(headers={"Authorization": f"Bearer {token}"}).get(SESSION).status_code


def system(tenant: Tenant) -> Actor:
    return Actor.for_system(tenant.organization, "test")


def agent_suspended_and_back(tenant: Tenant) -> None:
    with organization_scope(tenant.organization):
        suspend_agent(tenant.agent, actor=system(tenant))
        reactivate_agent(tenant.agent, actor=system(tenant))


def organization_suspended_and_back(tenant: Tenant) -> None:
    with organization_scope(tenant.organization):
        suspend_organization(tenant.organization, actor=system(tenant))
        reactivate_organization(tenant.organization, actor=system(tenant))


def asked_for(client_id: object, secret: str, **form: str) -> str:
    body = {"grant_type": "client_credentials", **form}
    answer = FormClient(headers=basic(client_id, secret)).post("/api/v1/token", body)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("end", [agent_suspended_and_back, organization_suspended_and_back])
def test_an_agents_older_tokens_are_dead_and_a_new_one_is_good_at_once(
    tenant: Tenant, end: Callable[[Tenant], None]
) -> None:
    with organization_scope(tenant.organization):
        _, secret = create_credential(tenant.agent, actor=system(tenant))
    resource = {"resource": tenant.grant.resource.identifier}
    old = asked_for(tenant.agent.pk, secret)
    for_resource = asked_for(tenant.grant.agent_id, secret, **resource)
    assert status_of(old) == 200

    end(tenant)

    assert status_of(old) == 401
    owner = Membership.objects.select_related("organization").get(pk=tenant.person("owner").pk)
    asking = bearer(access_token_for(owner))
    assert asking.post("/api/v1/token/introspect", {"token": old}).json() == {"active": False}
    found = asking.post("/api/v1/token/introspect", {"token": for_resource}).json()
    assert found == {"active": False}
    new = asked_for(tenant.agent.pk, secret)
    assert status_of(new) == 200
    found = asking.post("/api/v1/token/introspect", {"token": new}).json()
    assert found["active"] is True


def test_reactivating_an_active_agent_or_organization_ends_nothing(tenant: Tenant) -> None:
    token = tenant.token
    with organization_scope(tenant.organization):
        reactivate_agent(tenant.agent, actor=system(tenant))
        reactivate_organization(tenant.organization, actor=system(tenant))

    assert status_of(token) == 200


def log_in(member: Membership) -> dict[str, str]:
    body = {"email": member.user.email, "password": PASSWORD}
    answer = Client().post("/api/v1/auth/login", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    found: dict[str, str] = answer.json()
    return found


def refreshed(tokens: dict[str, str]) -> Any:
    body = {"refreshToken": tokens["refreshToken"]}
    return Client().post("/api/v1/auth/refresh", body, content_type="application/json")


def test_a_persons_older_tokens_are_dead_after_their_organization_was_suspended(
    tenant: Tenant,
) -> None:
    member = tenant.person("viewer")
    old = log_in(member)

    organization_suspended_and_back(tenant)

    assert status_of(old["accessToken"]) == 401
    assert refreshed(old).status_code == 401
    new = log_in(member)
    assert status_of(new["accessToken"]) == 200
    again = refreshed(new)
    assert again.status_code == 200
    assert status_of(again.json()["accessToken"]) == 200


def test_a_persons_sessions_are_over_after_their_account_was_closed(
    tenant: Tenant, signed_in: Any
) -> None:
    member = tenant.person("viewer")
    tokens, browser = log_in(member), signed_in(member)
    assert browser.get("/organizations").status_code == 200

    for is_active in (False, True):
        with organization_scope(tenant.organization):
            set_person_active(member.user, is_active, actor=system(tenant))

    assert status_of(tokens["accessToken"]) == 401
    assert refreshed(tokens).status_code == 401
    assert browser.get("/organizations").status_code == 302
    assert status_of(log_in(member)["accessToken"]) == 200


def test_a_returning_members_older_tokens_stay_invalid(tenant: Tenant) -> None:
    member = tenant.person("viewer")
    session = LoginSession.objects.create(user=member.user, created_at="2026-01-01T00:00:00Z")
    LoginSession.objects.update(created_at=timezone.now())
    refresh = PersonRefresh.for_session(member, session.pk)
    refresh.set_iat(at_time=timezone.now() - timedelta(minutes=5))
    tokens = {"accessToken": str(refresh.access_token), "refreshToken": str(refresh)}
    Membership.objects.filter(pk=member.pk).update(created_at="2026-01-01T00:00:00Z")
    assert status_of(tokens["accessToken"]) == 200

    with organization_scope(tenant.organization):
        remove_member(member, actor=system(tenant))
    make_membership(tenant.organization, "viewer", member.user)

    assert status_of(tokens["accessToken"]) == 401
    assert refreshed(tokens).status_code == 401


@pytest.mark.parametrize("end", [agent_suspended_and_back, organization_suspended_and_back])
def test_a_stream_ends_although_the_suspension_was_short(
    tenant: Tenant, end: Callable[[Tenant], None]
) -> None:
    viewer = Audience(tenant).viewer(tenant.token)
    assert ended_viewers([viewer]) == set()

    end(tenant)

    assert ended_viewers([viewer]) == {viewer}
