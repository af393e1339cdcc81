"""Viewers of executions, and every way to end their access: `python -m tests.live.rights`.

Prints a line of JSON for each viewer in PLAN with its credential and URL. For each line read, which
holds the number of a viewer, it ends that viewer's access and prints the time of the commit.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
)
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils import timezone  # noqa: E402

from agents.actions import decommission_agent, suspend_agent  # noqa: E402
from agents.models import Agent  # noqa: E402
from agents.tests.factories import make_agent  # noqa: E402
from executions.actions import delete_execution  # noqa: E402
from executions.models import Execution, now  # noqa: E402
from executions.tests.factories import RUNNING, make_execution, make_user_of  # noqa: E402
from organizations.actions import remove_member  # noqa: E402
from organizations.actions.organizations import suspend_organization  # noqa: E402
from organizations.actions.signing_in import set_person_active  # noqa: E402
from organizations.actors import Actor  # noqa: E402
from organizations.models import Membership, Organization, Principal  # noqa: E402
from organizations.tenancy.scope import organization_scope  # noqa: E402
from organizations.tests.factories import (  # noqa: E402
    make_membership,
    make_organization,
    make_user,
)
from tokens.access_tokens import (  # noqa: E402
    AgentAccess,
    PersonRefresh,
    new_token_id,
    sign_agent_token,
)
from tokens.actions import revoke_credential, revoke_token  # noqa: E402
from tokens.keys import rotate_signing_key  # noqa: E402
from tokens.models import MAX_SESSION, Credential, LoginSession  # noqa: E402
from tokens.sessions import end_session  # noqa: E402
from tokens.tests.factories import make_credential  # noqa: E402

SECONDS_LEFT = 10
"""The lifetime of credentials that expire by themselves."""
SECONDS_AHEAD = 1
"""How far ahead an end is scheduled."""


@dataclass
class Looker:
    """A viewer of an execution in an organization of its own."""

    organization: Organization
    execution: Execution
    headers: dict[str, str]
    agent: Agent | None = None
    credential: Credential | None = None
    member: Membership | None = None
    session: LoginSession | None = None
    page_session: str = ""
    ends_at: float | None = None

    @property
    def system(self) -> Actor:
        return Actor.for_system(self.organization, "test")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def make_agent_looker(
    seconds_left: float = 0, scopes: str = "executions:read tokens:read"
) -> Looker:
    organization = make_organization(slug=uuid4().hex)
    agent = make_agent(organization, scopes=scopes.split())
    credential, _ = make_credential(agent)
    lifetime = settings.ACCESS_TOKEN_LIFETIME.total_seconds()
    issued_at = int(time.time() - (lifetime - seconds_left if seconds_left else 0))
    token = sign_agent_token(
        agent_id=agent.pk,
        organization_id=organization.pk,
        credential_id=credential.pk,
        scope=scopes,
        token_id=new_token_id(),
        issued_at=issued_at,
        generation=0,
        algorithm="ES256",
    )
    execution = make_execution(organization, RUNNING, start=now() - 60, agent=agent)
    return Looker(
        organization,
        execution,
        bearer(token),
        agent=agent,
        credential=credential,
        ends_at=issued_at + lifetime if seconds_left else None,
    )


def make_person_looker(age: timedelta = timedelta()) -> Looker:
    organization = make_organization(slug=uuid4().hex)
    make_membership(organization, user=make_user(f"{uuid4().hex}@example.com"))
    member = make_membership(organization, "viewer", make_user(f"{uuid4().hex}@example.com"))
    session = LoginSession.objects.create(user=member.user, created_at=timezone.now() - age)
    token = str(PersonRefresh.for_session(member, session.pk).access_token)
    return Looker(organization, of_member(member), bearer(token), member=member, session=session)


def make_page_looker() -> Looker:
    organization = make_organization(slug=uuid4().hex)
    make_membership(organization, user=make_user(f"{uuid4().hex}@example.com"))
    member = make_membership(organization, "viewer", make_user(f"{uuid4().hex}@example.com"))
    store = SessionStore()
    store[SESSION_KEY] = str(member.user_id)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = member.user.get_session_auth_hash()
    store.save()
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={store.session_key}"}
    return Looker(
        organization,
        of_member(member),
        headers,
        member=member,
        page_session=store.session_key or "",
    )


def of_member(member: Membership) -> Execution:
    return make_execution(member.organization, RUNNING, start=now() - 60, user=make_user_of(member))


# The ways to end access. Credentials that expire by themselves are created here and end later.


def token_revoked(one: Looker) -> None:
    token = AgentAccess(one.headers["Authorization"].split()[1].encode())
    assert one.agent
    actor = Actor(
        kind="agent",
        id=one.agent.pk,
        label="test",
        organization=one.organization,
        credential_id=token.credential_id,
        scopes=frozenset({"tokens:read"}),
    )
    assert revoke_token(token, actor=actor)


def credential_revoked(one: Looker) -> None:
    assert one.credential
    revoke_credential(one.credential, actor=one.system)


def credential_expires(one: Looker) -> None:
    assert one.credential
    at = timezone.now() + timedelta(seconds=SECONDS_AHEAD)
    Credential.objects.filter(pk=one.credential.pk).update(expires_at=at)
    one.ends_at = at.timestamp()


def agent_suspended(one: Looker) -> None:
    assert one.agent
    suspend_agent(one.agent, actor=one.system)


def agent_decommissioned(one: Looker) -> None:
    assert one.agent
    decommission_agent(one.agent, actor=one.system)


def scope_taken(one: Looker) -> None:
    assert one.agent
    Agent.objects.filter(pk=one.agent.pk).update(scopes=["tokens:read"])


def made_admin(one: Looker) -> None:
    assert one.agent
    Principal.objects.filter(pk=one.agent.pk).update(role="admin")


def admin_taken(one: Looker) -> None:
    assert one.agent
    Principal.objects.filter(pk=one.agent.pk).update(role="")


def scope_of_admin_taken(one: Looker) -> None:
    assert one.agent
    Agent.objects.filter(pk=one.agent.pk).update(scopes=["executions:read"])


def organization_suspended(one: Looker) -> None:
    suspend_organization(one.organization, actor=one.system)


def execution_deleted(one: Looker) -> None:
    delete_execution(one.execution, actor=one.system, stop=True)


def removed(one: Looker) -> None:
    assert one.member
    remove_member(one.member, actor=one.system)


def role_changed(one: Looker) -> None:
    assert one.member
    Membership.objects.filter(pk=one.member.pk).update(role="operator")


def person_suspended(one: Looker) -> None:
    assert one.member
    set_person_active(one.member.user, False, actor=one.system)


def password_changed(one: Looker) -> None:
    assert one.member
    one.member.user.set_password("another sentence than before")
    one.member.user.save()


def signed_out(one: Looker) -> None:
    if one.session:
        end_session(one.session)
    else:
        Session.objects.filter(pk=one.page_session).delete()


def session_expires(one: Looker) -> None:
    at = timezone.now() + timedelta(seconds=SECONDS_AHEAD)
    Session.objects.filter(pk=one.page_session).update(expire_date=at)
    one.ends_at = at.timestamp()


def key_removed(one: Looker) -> None:
    rotate_signing_key("ES256", is_emergency=True)


def key_removed_too(one: Looker) -> None:
    """The same key serves both viewers."""


def by_itself(one: Looker) -> None:
    """The token expires by itself."""


def old_person() -> Looker:
    one = make_person_looker(age=MAX_SESSION - timedelta(seconds=SECONDS_LEFT))
    assert one.session
    one.ends_at = (one.session.created_at + MAX_SESSION).timestamp()
    return one


def admin_agent() -> Looker:
    one = make_agent_looker(scopes="executions:read admin:orgs")
    made_admin(one)
    return one


Way = Callable[[Looker], None]
OF_AN_AGENT: list[Way] = [
    token_revoked,
    credential_revoked,
    credential_expires,
    agent_suspended,
    agent_decommissioned,
    scope_taken,
    organization_suspended,
    execution_deleted,
]
OF_A_PERSON: list[Way] = [
    removed,
    role_changed,
    person_suspended,
    password_changed,
    signed_out,
    organization_suspended,
    execution_deleted,
]
# Viewers affected by the key's removal come last.
PLAN: list[tuple[str, Callable[[], Looker], Way]] = [
    ("agent", lambda: make_agent_looker(SECONDS_LEFT), by_itself),
    ("old session", old_person, by_itself),
    *(("agent", make_agent_looker, way) for way in OF_AN_AGENT),
    ("admin agent", admin_agent, admin_taken),
    ("admin agent", admin_agent, scope_of_admin_taken),
    *(("person", make_person_looker, way) for way in OF_A_PERSON),
    *(("page", make_page_looker, way) for way in [session_expires, *OF_A_PERSON]),
    ("agent", make_agent_looker, key_removed),
    ("person", make_person_looker, key_removed_too),
]


def serve() -> None:
    lookers = []
    for kind, make, way in PLAN:
        one = make()
        lookers.append((one, way))
        say(name=f"{kind}: {way.__name__}", fid=one.execution.fid, headers=one.headers)
    say(name="")
    for line in sys.stdin:
        one, way = lookers[int(line)]
        with organization_scope(one.organization):
            way(one)
        say(at=one.ends_at or time.time())


def say(**facts: object) -> None:
    sys.stdout.write(f"{json.dumps(facts)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
