"""Rights of an agent and of a person, and what ends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from io import StringIO
from typing import Any

import time_machine
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from agents.actions import decommission_agent, reactivate_agent, suspend_agent
from agents.models import Agent
from organizations.actions import (
    reactivate_organization,
    set_person_active,
    suspend_organization,
)
from organizations.actors import Actor
from organizations.tenancy.scope import organization_scope
from tests.tenants import PASSWORD, Tenant
from tokens.access_tokens import AgentAccess, PersonRefresh
from tokens.actions import (
    create_credential,
    end_old_secrets,
    revoke_credential,
    revoke_token,
    rotate_credential,
)
from tokens.keys import key_ring
from tokens.models import Credential, LoginSession
from tokens.sessions import REFRESH_GRACE, end_session
from tokens.tests.clients import FormClient, basic

HOUR = timedelta(hours=1)
NEW_PASSWORD = "another long and quiet password"


@contextmanager
def clock(difference: timedelta) -> Iterator[None]:
    """A process whose clock differs by that much from the database's."""
    with time_machine.travel(timezone.now() + difference):
        yield
    key_ring.forget()


class AgentsRight:
    """An agent's secret and a token obtained with it."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.agent: Agent = tenant.agent
        self.actor = Actor.for_system(tenant.organization, "test")
        with organization_scope(tenant.organization):
            self.credential, self.secret = create_credential(self.agent, actor=self.actor)
        self.token = self.obtain()

    @cached_property
    def read(self) -> AgentAccess:
        return AgentAccess(self.token)  # type: ignore[arg-type]

    def obtain(self) -> str:
        answer = self.ask()
        assert answer.status_code == 200, answer.content
        return str(answer.json()["access_token"])

    def ask(self) -> Any:
        proof = basic(self.agent.pk, self.secret)
        return FormClient(headers=proof).post("/api/v1/token", {"grant_type": "client_credentials"})

    def has_token(self) -> bool:
        return opens(self.token)

    def has_secret(self) -> bool:
        return bool(self.ask().status_code == 200)

    def has_new_token(self) -> bool:
        return opens(self.obtain())


class PersonsRight:
    """A login session of a person."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.member = tenant.person("admin")
        self.actor = Actor.for_system(tenant.organization, "test")
        self.password = PASSWORD
        self.tokens = self.log_in()

    @cached_property
    def read(self) -> PersonRefresh:
        return PersonRefresh.read(self.tokens["refreshToken"])

    def log_in(self) -> dict[str, str]:
        body = {"email": self.member.user.email, "password": self.password}
        answer = Client().post("/api/v1/auth/login", body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        found: dict[str, str] = answer.json()
        return found

    def refresh(self, tokens: dict[str, str]) -> bool:
        body = {"refreshToken": tokens["refreshToken"]}
        answer = Client().post("/api/v1/auth/refresh", body, content_type="application/json")
        return bool(answer.status_code == 200)

    def has_token(self) -> bool:
        return opens(self.tokens["accessToken"])

    def has_session(self) -> bool:
        return self.refresh(self.tokens)

    def has_new_token(self) -> bool:
        new = self.log_in()
        return opens(new["accessToken"]) and self.refresh(new)


def opens(token: str) -> bool:
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/auth/session")
    return bool(answer.status_code == 200)


# Ways to end a right.


def suspend_and_reactivate_agent(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        suspend_agent(right.agent, actor=right.actor)
        reactivate_agent(right.agent, actor=right.actor)


def suspend_and_reactivate_organization(right: AgentsRight | PersonsRight) -> None:
    with organization_scope(right.tenant.organization):
        suspend_organization(right.tenant.organization, actor=right.actor)
        reactivate_organization(right.tenant.organization, actor=right.actor)


def decommission(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        decommission_agent(right.agent, actor=right.actor)


def revoke_its_credential(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        revoke_credential(right.credential, actor=right.actor)


def revoke_its_token(right: AgentsRight) -> None:
    administrator = Actor.for_person(right.tenant.person("owner"))
    with organization_scope(right.tenant.organization):
        revoke_token(right.read, actor=administrator)


def rotate_keys_in_an_emergency(right: AgentsRight | PersonsRight) -> None:
    call_command("rotate_signing_key", "--emergency", stdout=StringIO())


def rotate_without_grace(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        rotate_credential(right.credential, actor=right.actor)


def rotate_with_a_grace_that_ends(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        rotated, _ = rotate_credential(right.credential, actor=right.actor, grace=HOUR / 2)
        # The time of the grace, by the clock of the database, which does not wait for a test.
        Credential.objects.filter(pk=rotated.pk).update(
            previous_expires_at=F("previous_expires_at") - HOUR / 2
        )


def rotate_and_end_the_grace(right: AgentsRight) -> None:
    with organization_scope(right.tenant.organization):
        rotated, _ = rotate_credential(right.credential, actor=right.actor, grace=HOUR / 2)
        end_old_secrets(rotated, actor=right.actor)


def end_its_session(right: PersonsRight) -> None:
    end_session(LoginSession.objects.get(pk=right.read.session_id))


def change_the_password(right: PersonsRight) -> None:
    browser = Client()
    browser.force_login(right.member.user)
    form = {"current": right.password, "new": NEW_PASSWORD, "repeat": NEW_PASSWORD}
    assert browser.post("/password", form).status_code == 302
    right.password = NEW_PASSWORD


def close_and_open_the_account(right: PersonsRight) -> None:
    for is_active in (False, True):
        with organization_scope(right.tenant.organization):
            set_person_active(right.member.user, is_active, actor=right.actor)


def use_the_refresh_token_once(right: PersonsRight) -> None:
    """Its grace ends, by the clock of the database, which does not wait for a test."""
    assert right.read.use(REFRESH_GRACE)
    BlacklistedToken.objects.update(blacklisted_at=F("blacklisted_at") - REFRESH_GRACE)
