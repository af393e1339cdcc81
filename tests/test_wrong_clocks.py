"""What ends a right ends it, and nothing else, whichever clock is wrong: that of the process that
gave it, that of the process that ends it, or the database's, which is corrected afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from agents.actions import decommission_agent, reactivate_agent, suspend_agent
from agents.models import Agent
from core.database_clock import database_time
from organizations.actions import (
    reactivate_organization,
    set_person_active,
    suspend_organization,
)
from organizations.actions.invitations import LIFETIME as INVITATION_LIFETIME
from organizations.actors import Actor
from organizations.models import AccountLink, Organization, User
from organizations.people.links import LIFETIME as LINK_LIFETIME
from organizations.people.links import LinkNotFound, find_link, make_link
from organizations.tenancy.scope import organization_scope
from tests.tenants import PASSWORD, Tenant
from tokens.access_tokens import AgentAccess, PersonRefresh, new_token_id, sign_agent_token
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
NONE = timedelta(0)
WRONG_CLOCKS = {
    "the giver's is ahead": (HOUR, NONE),
    "the giver's is behind": (-HOUR, NONE),
    "the ender's is ahead": (NONE, HOUR),
    "the ender's is behind": (NONE, -HOUR),
}
NEW_PASSWORD = "another long and quiet password"


@contextmanager
def clock(difference: timedelta) -> Iterator[None]:
    """A process whose clock differs by that much from the database's."""
    with time_machine.travel(timezone.now() + difference):
        yield
    key_ring.forget()


@pytest.fixture
def tenant(db: None) -> Iterator[Tenant]:
    key_ring.forget()
    yield Tenant("ours")
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


TOKEN, SECRET, SESSION = "has_token", "has_secret", "has_session"
AGENTS: dict[Callable[[AgentsRight], None], tuple[set[str], bool]] = {
    suspend_and_reactivate_agent: ({TOKEN}, True),
    suspend_and_reactivate_organization: ({TOKEN}, True),
    decommission: ({TOKEN, SECRET}, False),
    revoke_its_credential: ({TOKEN, SECRET}, False),
    revoke_its_token: ({TOKEN}, True),
    rotate_keys_in_an_emergency: ({TOKEN}, True),
    rotate_without_grace: ({SECRET}, False),
    rotate_with_a_grace_that_ends: ({SECRET}, False),
    rotate_and_end_the_grace: ({SECRET}, False),
}
PEOPLES: dict[Callable[[PersonsRight], None], tuple[set[str], bool]] = {
    suspend_and_reactivate_organization: ({TOKEN, SESSION}, True),
    rotate_keys_in_an_emergency: ({TOKEN, SESSION}, True),
    change_the_password: ({TOKEN, SESSION}, True),
    close_and_open_the_account: ({TOKEN, SESSION}, True),
    end_its_session: ({TOKEN, SESSION}, True),
    use_the_refresh_token_once: ({SESSION}, True),
}
"""What each ends, and whether another is given afterwards."""


@pytest.mark.parametrize("clocks", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
@pytest.mark.parametrize(
    ("kind", "end", "ended", "is_given_again"),
    [(AgentsRight, end, *what) for end, what in AGENTS.items()]
    + [(PersonsRight, end, *what) for end, what in PEOPLES.items()],
)
def test_an_end_is_one_at_once_whichever_process_has_a_wrong_clock(
    tenant: Tenant,
    clocks: tuple[timedelta, timedelta],
    kind: type[Any],
    end: Callable[[Any], None],
    ended: set[str],
    is_given_again: bool,
) -> None:
    giver, ender = clocks
    tenant.keep(lambda tenant: [tenant.agent, tenant.person("admin"), tenant.person("owner")])
    with clock(giver):
        right = kind(tenant)
    assert right.has_token()
    assert right.read  # a process with a clock behind refuses it
    with clock(ender):
        end(right)
    key_ring.forget()

    assert {name for name in ended if getattr(right, name)()} == set()
    if is_given_again:
        assert right.has_new_token()


@pytest.mark.parametrize("difference", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_link_lives_as_long_as_it_says(tenant: Tenant, difference: timedelta) -> None:
    user = tenant.person("viewer").user
    with clock(difference):
        link = make_link(user, AccountLink.Purpose.PASSWORD).rpartition("/")[2]
        assert find_link(link, AccountLink.Purpose.PASSWORD)
    assert find_link(link, AccountLink.Purpose.PASSWORD)

    AccountLink.objects.update(expires_at=F("expires_at") - LINK_LIFETIME)

    for each in (NONE, difference):
        with clock(each), pytest.raises(LinkNotFound):
            find_link(link, AccountLink.Purpose.PASSWORD)


@pytest.mark.parametrize("difference", [8 * 24 * HOUR, -8 * 24 * HOUR], ids=["ahead", "behind"])
def test_an_invitation_lives_as_long_as_it_says(tenant: Tenant, difference: timedelta) -> None:
    with clock(difference):
        invitation, _ = tenant.invite("new@example.com")
    with organization_scope(tenant.organization):
        invitations = type(invitation).objects.backed().filter(pk=invitation.pk)
        for each in (NONE, difference):
            with clock(each):
                assert invitations.get().is_usable()
                assert type(invitation).objects.get(pk=invitation.pk).is_usable()

        invitations.update(expires_at=F("expires_at") - INVITATION_LIFETIME)

        for each in (NONE, difference):
            with clock(each):
                assert invitations.get().status == "expired"
                assert type(invitation).objects.get(pk=invitation.pk).status == "expired"


# The database's clock was ahead and is corrected.


@pytest.mark.parametrize("end", [suspend_and_reactivate_agent, suspend_and_reactivate_organization])
def test_a_token_of_a_clock_ahead_ends_with_a_suspension_after_the_correction(
    tenant: Tenant, end: Callable[[AgentsRight], None]
) -> None:
    right = AgentsRight(tenant)
    ahead = timezone.now() + HOUR
    token = sign_agent_token(
        agent_id=right.agent.pk,
        organization_id=tenant.organization.pk,
        credential_id=right.credential.pk,
        scope="",
        token_id=new_token_id(),
        issued_at=int(ahead.timestamp()),
        generation=right.read.generation or 0,
        algorithm="ES256",
    )
    with time_machine.travel(ahead):
        assert opens(token)

    end(right)

    with time_machine.travel(ahead + timedelta(minutes=1)):
        assert not opens(token)


@pytest.mark.parametrize("suspended", [Agent, Organization])
def test_an_agent_reactivated_by_a_clock_ahead_gets_good_tokens_after_the_correction(
    tenant: Tenant, suspended: type[Agent] | type[Organization]
) -> None:
    right = AgentsRight(tenant)
    suspend_and_reactivate_agent(right)
    suspend_and_reactivate_organization(right)
    with organization_scope(tenant.organization):
        suspended.objects.update(tokens_valid_from=timezone.now() + HOUR)

    assert right.has_new_token()
    assert PersonsRight(tenant).has_new_token()


def test_a_password_changed_while_the_clock_was_ahead_is_one_for_new_sessions(
    tenant: Tenant,
) -> None:
    user = tenant.person("admin").user
    User.objects.filter(pk=user.pk).update(sessions_valid_from=timezone.now() + HOUR)

    right = PersonsRight(tenant)

    assert right.has_token()
    assert right.has_session()


def test_a_refresh_token_used_while_the_clock_was_ahead_has_no_longer_grace(
    tenant: Tenant,
) -> None:
    right = PersonsRight(tenant)
    assert right.refresh(right.tokens)
    BlacklistedToken.objects.update(blacklisted_at=database_time() + HOUR)

    assert not right.has_session()
