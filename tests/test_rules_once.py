"""The rules "may be used", "opens", "may act" and "is live" are each defined once: a condition
added there takes effect everywhere immediately, and for nobody else.
"""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.actions import invite
from organizations.actors import Actor
from organizations.models import Invitation, Membership, Organization
from organizations.stream_access import Viewer, has_ended
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tokens.access_tokens import AgentAccess, PersonAccess
from tokens.issue_sql import call_issue_batch
from tokens.models import Credential
from tokens.tests.callers import question_of
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import make_credential, make_grant, make_resource

PASSWORD = "a long and quiet password"
CLOSED = "closed"
AddCondition = Callable[[str, str], None]
Doors = dict[str, bool]


@pytest.fixture
def add_condition(owner: psycopg.Connection) -> Iterator[AddCondition]:
    """Add a condition to a function; afterwards restore it from its file."""
    changed = []

    def add(name: str, condition: str) -> None:
        (file,) = settings.BASE_DIR.glob(f"*/sql/{name}.sql")
        before, end, after = file.read_text().rpartition("\n$$;")
        changed.append(before + end + after)
        owner.execute(f"{before}\n AND {condition}{end}{after}".encode())

    yield add
    for text in changed:
        owner.execute(text.encode())


def is_ok(answer: Any) -> bool:
    return bool(answer.status_code == 200)


def introspect(asker: Client, token: str) -> Any:
    return asker.post("/api/v1/token/introspect", {"token": token})


class OpenAgent:
    """An agent with a token for our API, one for a resource, and an open stream."""

    def __init__(self, organization: Organization, name: str = "") -> None:
        self.organization = organization
        self.agent: Agent = make_agent(
            organization,
            owner=name or "ops",
            scopes=["agents:read", "executions:read", "tokens:read"],
        )
        self.credential, self.secret = make_credential(self.agent, name=name)
        self.resource = make_resource(organization)
        make_grant(self.resource, self.agent)
        self.proof = basic(self.agent.pk, self.secret)
        self.token = self.issue().json()["access_token"]
        self.for_resource = self.issue(resource=self.resource.identifier).json()["access_token"]
        token = AgentAccess(self.token)
        self.viewer = Viewer(
            kind="agent",
            organization=organization.pk,
            principal=self.agent.pk,
            credential=self.credential.pk,
            token=token.token_id,
            kid=token.kid,
            issued=token.issued_at,
        )

    def issue(self, **more: str) -> Any:
        form = {"grant_type": "client_credentials", **more}
        return FormClient(headers=self.proof).post("/api/v1/token", form)

    def doors(self, asker: Client) -> Doors:
        identifier = self.resource.identifier
        with organization_scope(self.organization):
            usable = Credential.objects.usable().of_acting_agents()
            is_counted = usable.filter(pk=self.credential.pk).exists()
        return {
            "issue": is_ok(self.issue()),
            "issue with others": call_issue_batch([question_of(self.agent.pk, self.secret)])
            != [None],
            "issue for a resource": is_ok(self.issue(resource=identifier)),
            "prove its secret": is_ok(introspect(FormClient(headers=self.proof), "no token")),
            "introspect": introspect(asker, self.token).json()["active"],
            "introspect a resource's": introspect(asker, self.for_resource).json()["active"],
            "call": is_ok(bearer(self.token).get("/api/v1/agents")),
            "stream": not has_ended(self.viewer),
            "queryset": is_counted,
        }


class OpenPerson:
    """A member with a login session and an open stream."""

    def __init__(self, organization: Organization, name: str, mark: str = "") -> None:
        self.member: Membership = make_membership(
            organization, "admin", make_user(f"{name}@example.com", PASSWORD, name=mark)
        )
        self.user_agent = mark
        answer = self.log_in().json()
        self.token, self.refresh_token = answer["accessToken"], answer["refreshToken"]
        token = PersonAccess(self.token)
        self.viewer = Viewer(
            kind="person",
            organization=organization.pk,
            principal=self.member.user_id,
            role=self.member.role,
            session=token.session_id,
            token=token.token_id,
            kid=token.kid,
            issued=token.issued_at,
            valid_from=self.member.user.sessions_valid_from,
        )

    def log_in(self) -> Any:
        body = {"email": self.member.user.email, "password": PASSWORD}
        headers = {"User-Agent": self.user_agent}
        return Client(headers=headers).post(
            "/api/v1/auth/login", body, content_type="application/json"
        )

    def refresh(self) -> bool:
        body = {"refreshToken": self.refresh_token}
        return is_ok(Client().post("/api/v1/auth/refresh", body, content_type="application/json"))

    def doors(self, asker: Client) -> Doors:
        return {
            "refresh": self.refresh(),
            "introspect": introspect(asker, self.token).json()["active"],
            "call": is_ok(bearer(self.token).get("/api/v1/agents")),
            "stream": not has_ended(self.viewer),
        }


def shut(doors: Doors) -> set[str]:
    return {name for name, is_open in doors.items() if not is_open}


@pytest.fixture
def asker(owner: psycopg.Connection, organization: Organization) -> FormClient:
    """Another agent, which may introspect tokens."""
    agent = make_agent(organization, scopes=["tokens:read"])
    _, secret = make_credential(agent)
    form = {"grant_type": "client_credentials", "scope": "tokens:read"}
    answer = FormClient(headers=basic(agent.pk, secret)).post("/api/v1/token", form)
    return bearer(answer.json()["access_token"])


@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        ("tokens_credential_is_usable", f"credential.name <> '{CLOSED}'"),
        ("agents_agent_may_act", f"agent.owner <> '{CLOSED}'"),
    ],
)
def test_a_condition_of_an_agent_is_one_of_every_door(
    rule: str,
    condition: str,
    organization: Organization,
    asker: FormClient,
    add_condition: AddCondition,
) -> None:
    closed, neighbour = OpenAgent(organization, CLOSED), OpenAgent(organization)
    assert not shut(closed.doors(asker))

    add_condition(rule, condition)

    doors = closed.doors(asker)
    assert shut(doors) == set(doors)
    assert not shut(neighbour.doors(asker))


def test_a_condition_of_a_secret_is_one_of_every_door_that_takes_secrets(
    organization: Organization, asker: FormClient, add_condition: AddCondition
) -> None:
    closed, neighbour = OpenAgent(organization, CLOSED), OpenAgent(organization)
    assert not shut(closed.doors(asker))

    add_condition("tokens_secret_opens", f"credential.name <> '{CLOSED}'")

    taking_secrets = {"issue", "issue with others", "issue for a resource", "prove its secret"}
    assert shut(closed.doors(asker)) == taking_secrets
    assert not shut(neighbour.doors(asker))


@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        ("tokens_session_is_live", f"session.user_agent <> '{CLOSED}'"),
        ("organizations_person_may_act", f"person.name <> '{CLOSED}'"),
    ],
)
def test_a_condition_of_a_person_is_one_of_every_door(
    rule: str,
    condition: str,
    organization: Organization,
    asker: FormClient,
    add_condition: AddCondition,
) -> None:
    closed = OpenPerson(organization, "ada", CLOSED)
    neighbour = OpenPerson(organization, "grace")
    assert not shut(closed.doors(asker))

    add_condition(rule, condition)

    doors = closed.doors(asker)
    assert shut(doors) == set(doors)
    assert not shut(neighbour.doors(asker))


def test_a_condition_of_tokens_is_one_of_every_door_that_takes_them(
    organization: Organization, other_organization: Organization, add_condition: AddCondition
) -> None:
    closed = OpenAgent(organization), OpenPerson(organization, "ada")
    open_ones = OpenAgent(other_organization), OpenPerson(other_organization, "grace")
    askers = {one.organization: FormClient(headers=one.proof) for one in (closed[0], open_ones[0])}

    add_condition("organizations_token_is_current", f"organization.id <> '{organization.pk}'")

    of_agent, of_person = (one.doors(askers[organization]) for one in closed)
    assert shut(of_agent) == {"introspect", "introspect a resource's", "call", "stream"}
    assert shut(of_person) == set(of_person)
    assert not any(shut(one.doors(askers[other_organization])) for one in open_ones)


def test_a_condition_of_a_person_is_one_of_pages(
    organization: Organization, add_condition: AddCondition
) -> None:
    member = make_membership(organization, "admin", make_user(name=CLOSED))
    browser = Client()
    browser.force_login(member.user)
    assert is_ok(browser.get("/agents"))

    add_condition("organizations_person_may_act", f"person.name <> '{CLOSED}'")

    assert not is_ok(browser.get("/agents"))


def test_a_condition_of_a_person_is_one_of_what_they_offer_and_see(
    organization: Organization, add_condition: AddCondition
) -> None:
    member = make_membership(organization, "owner", make_user(name=CLOSED))
    with organization_scope(organization):
        actor = Actor.for_person(member)
        invitation, _ = invite(organization, actor=actor, email="ada@example.com", role="viewer")
        offers = Invitation.objects.backed().filter(pk=invitation.pk, is_backed=True)
        theirs = Organization.objects.of_person(member.user)
        assert offers.exists()
        assert theirs.exists()

    add_condition("organizations_person_may_act", f"person.name <> '{CLOSED}'")

    with organization_scope(organization):
        assert not offers.all().exists()
        assert not theirs.all().exists()
