"""Token requests that go to the database together: each gets what it would get alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from analytics.rebuild import rebuild_rollups
from core.throttling import WIDER_FAILURES, Guesses, count_attempt, count_failure
from organizations.models import Attempt, Organization
from organizations.tenancy.scope import organization_scope
from tokens.issue_sql import Issue, Question, call_issue, call_issue_batch
from tokens.keys import make_first_key
from tokens.models import Credential, MonthlyUsage, TokenEvent
from tokens.peppers import stored_mac
from tokens.tests.callers import ADDRESS, RESOURCE, Caller

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/token"


def nothing(caller: Caller) -> None:
    pass


def an_hour_ago(caller: Caller) -> None:
    past = timezone.now() - timedelta(hours=1)
    caller.change(previous_expires_at=past)


def limit(most: int) -> Callable[[Caller], None]:
    def set_limit(caller: Caller) -> None:
        Organization.objects.filter(pk=caller.organization.pk).update(max_tokens_per_month=most)

    return set_limit


def agent_is(status: str) -> Callable[[Caller], None]:
    def set_status(caller: Caller) -> None:
        with organization_scope(caller.organization):
            Agent.objects.filter(pk=caller.agent.pk).update(status=status)

    return set_status


def suspend_organization(caller: Caller) -> None:
    Organization.objects.filter(pk=caller.organization.pk).update(status="suspended")


def fill_address(caller: Caller) -> None:
    for _ in range(100):
        count_failure(Guesses.at("token", uuid4(), ADDRESS))


SIXTH = {"ip_address": "2001:db8:1::1"}


def fill_wider_network(caller: Caller) -> None:
    wider = Guesses.at("token", uuid4(), "2001:db8:1:2::1").wider
    count_attempt(wider, WIDER_FAILURES)
    Attempt.objects.filter(key=wider).update(attempts=WIDER_FAILURES.limit)


Situation = tuple[Callable[[Caller], Any], dict[str, Any], bool]
SITUATIONS: dict[str, Situation] = {
    "the secret": (nothing, {}, True),
    "the old secret in its grace": (nothing, {"secret": "old"}, True),
    "the old secret after its grace": (an_hour_ago, {"secret": "old"}, False),
    "a wrong secret": (nothing, {"secret": "sk_live_wrong"}, False),
    "an unknown client": (nothing, {"client_id": UUID(int=7)}, False),
    "an expired credential": (
        lambda each: each.change(expires_at=timezone.now() - timedelta(minutes=1)),
        {},
        False,
    ),
    "a revoked credential": (lambda each: each.change(status="revoked"), {}, False),
    "a suspended agent": (agent_is("suspended"), {}, False),
    "a decommissioned agent": (agent_is("decommissioned"), {}, False),
    "a suspended organization": (suspend_organization, {}, False),
    "one of its scopes": (nothing, {"scope": "tokens:read"}, True),
    "a scope too many": (nothing, {"scope": "tokens:read agents:write"}, False),
    "a resource": (nothing, {"resource": RESOURCE}, True),
    "a scope of a resource": (nothing, {"resource": RESOURCE, "scope": "b a"}, True),
    "another scope of a resource": (nothing, {"resource": RESOURCE, "scope": "b"}, False),
    "an unknown resource": (nothing, {"resource": RESOURCE + "/x"}, False),
    "the last token of the month": (limit(1), {}, True),
    "a month that is used up": (limit(0), {}, False),
    "without an address": (nothing, {"ip_address": None}, True),
    "one failure before": (Caller.fail, {}, False),
    "a failure from elsewhere": (lambda each: each.fail("198.51.100.1"), {}, True),
    "an address with many failures": (fill_address, {}, False),
    "a wider network with many failures": (fill_wider_network, SIXTH, False),
}


@pytest.fixture(autouse=True)
def key() -> None:
    make_first_key()


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_batch_grants_what_each_would_get_alone(name: str) -> None:
    prepare, fields, is_granted = SITUATIONS[name]
    caller, neighbour = Caller(), Caller()
    prepare(caller)
    if fields.get("secret") == "old":
        fields = fields | {"secret": caller.old_secret}
    asked = caller.question(**fields)
    alone, recorded = in_vain(caller, asked)
    before = state_of(caller)

    if name == "an address with many failures":  # the neighbour asks from it as well
        assert call_issue_batch([asked]) == [None]
        return
    together, own = call_issue_batch([asked, neighbour.question()])

    assert own is not None
    assert event_of(neighbour, own) is not None
    assert (together is not None) == is_granted
    if together is None:
        assert state_of(caller) == before
        return
    assert recorded is not None
    assert together._replace(issued_at=0) == alone._replace(issued_at=0)
    assert abs(together.issued_at - alone.issued_at) <= 60
    assert without_moment(event_of(caller, together, asked.event_id)) == without_moment(recorded)


def in_vain(caller: Caller, asked: Question) -> tuple[Issue, dict[str, Any] | None]:
    """The verdict that a request would get alone and what it would record, with no effect."""
    with transaction.atomic():
        issue = call_issue(asked)
        recorded = event_of(caller, issue, asked.event_id)
        transaction.set_rollback(True)
    return issue, recorded


def event_of(caller: Caller, issue: Issue, event_id: UUID | None = None) -> dict[str, Any] | None:
    with organization_scope(caller.organization):
        events = TokenEvent.objects.filter(credential_id=issue.credential_id)
        return (events.filter(pk=event_id) if event_id else events).values().first()


def without_moment(event: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (event or {}).items() if name != "created_at"}


def state_of(caller: Caller) -> list[Any]:
    """Everything that a token request of the caller could change."""
    with organization_scope(caller.organization):
        tables = (TokenEvent.objects, MonthlyUsage.objects, Credential.objects)
        return [list(table.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize("used", [0, 1])
def test_a_group_that_exceeds_the_months_limit_is_asked_one_by_one(used: int) -> None:
    caller, neighbour = Caller(), Caller()
    limit(2 + used)(caller)
    for _ in range(used):
        call_issue(caller.question())

    verdicts = call_issue_batch([*(caller.question() for _ in range(3)), neighbour.question()])

    assert [each is not None for each in verdicts] == [False, False, False, True]
    reasons = [call_issue(caller.question()).reason for _ in range(3)]
    assert reasons == [None, None, "monthly_limit"]


@pytest.mark.parametrize("column", ["last_used_at", "previous_last_used_at"])
def test_a_batch_corrects_a_last_use_in_the_future(column: str) -> None:
    caller = Caller()
    caller.change(**{column: timezone.now() + timedelta(days=400)})
    secret = caller.secret if column == "last_used_at" else caller.old_secret

    assert call_issue_batch([caller.question(secret)]) != [None]

    with organization_scope(caller.organization):
        assert getattr(Credential.objects.get(), column) <= timezone.now()


def test_a_batch_counts_each_token_of_a_client_once() -> None:
    callers = [Caller(), Caller()]
    asked = [each.question() for each in callers for _ in range(5)]

    verdicts = call_issue_batch(asked)

    assert [each.organization_id for each in verdicts if each] == [
        caller.organization.pk for caller in callers for _ in range(5)
    ]
    for caller in callers:
        assert caller.counted() == (5, 5)
        assert rebuild_rollups(caller.organization) == ()


# Walls


PLANTED = """
INSERT INTO tokens_credential
SELECT (jsonb_populate_record(c, jsonb_build_object(
    'id', gen_random_uuid(), 'organization_id', %s::uuid, 'secret_mac', %s::bytea
))).* FROM tokens_credential c WHERE c.id = %s
"""


@contextmanager
def planted_credential(
    owner: psycopg.Connection, victim: Caller, elsewhere: Caller
) -> Iterator[str]:
    """A credential of the victim's agent in another organization, which no constraint allows.

    Yields its secret.
    """
    secret = "sk_live_" + "planted" * 6
    mac = stored_mac(victim.agent.pk, secret)
    constraint = "tokens_credential_agent_organization_fk"
    definition = owner.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [constraint]
    ).fetchone()
    assert definition is not None
    owner.execute(f"ALTER TABLE tokens_credential DROP CONSTRAINT {constraint}".encode())
    owner.execute("ALTER TABLE tokens_credential NO FORCE ROW LEVEL SECURITY")
    try:
        values = [elsewhere.organization.pk, mac, victim.credential.pk]
        assert owner.execute(PLANTED, values).rowcount == 1
        owner.execute("ALTER TABLE tokens_credential FORCE ROW LEVEL SECURITY")
        yield secret
    finally:
        owner.execute("ALTER TABLE tokens_credential NO FORCE ROW LEVEL SECURITY")
        owner.execute("DELETE FROM tokens_credential WHERE secret_mac = %s", [mac])
        owner.execute("ALTER TABLE tokens_credential FORCE ROW LEVEL SECURITY")
        added = f"ALTER TABLE tokens_credential ADD CONSTRAINT {constraint} {definition[0]}"
        owner.execute(added.encode())


FILE = settings.BASE_DIR / "tokens/sql/tokens_issue_batch.sql"


@pytest.fixture
def without_join(owner: psycopg.Connection) -> Iterator[Callable[[], None]]:
    """Lets the function look for credentials of an agent in every organization that it sees."""

    def break_function() -> None:
        text = FILE.read_text()
        broken = text.replace("c.organization_id = a.organization_id AND c.agent_id", "c.agent_id")
        assert broken != text
        owner.execute(broken.encode())

    yield break_function
    owner.execute(FILE.read_bytes())


def test_a_credential_in_another_organization_of_the_batch_opens_nothing(
    owner: psycopg.Connection, without_join: Callable[[], None]
) -> None:
    victim, elsewhere = Caller(), Caller()
    with planted_credential(owner, victim, elsewhere) as secret:
        asked = [victim.question(secret=secret), elsewhere.question()]
        assert call_issue_batch(asked)[0] is None

        without_join()

        again = [victim.question(secret=secret), elsewhere.question()]
        with transaction.atomic():
            leaks = call_issue_batch(again)[0] is not None
            transaction.set_rollback(True)
        assert leaks, "the test would not notice the missing join"


def test_an_organization_outside_of_the_batch_is_invisible_to_the_function(
    owner: psycopg.Connection, without_join: Callable[[], None]
) -> None:
    victim, elsewhere, neighbour = Caller(), Caller(), Caller()
    without_join()
    with planted_credential(owner, victim, elsewhere) as secret:
        verdicts = call_issue_batch([victim.question(secret=secret), neighbour.question()])

    assert [each is not None for each in verdicts] == [False, True]


def test_the_owner_sees_no_organization_that_it_has_not_entered(owner: psycopg.Connection) -> None:
    caller = Caller()
    call_issue_batch([caller.question()])

    for table in ("tokens_credential", "tokens_tokenevent", "analytics_hourusage"):
        assert owner.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)
