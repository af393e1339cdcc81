"""The demonstration's data is complete, reproducible, and extended but never duplicated."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.db.models import Max
from django.test import Client

from agents.actions import decommission_agent, suspend_agent
from agents.models import Agent
from analytics.models import FindingSnooze
from analytics.rebuild import rebuild_rollups
from analytics.records import findings_of
from demo import seed
from executions.event_log import apply_events
from executions.models import (
    ErrorResolution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
)
from executions.queries import error_groups
from organizations.actors import Actor
from organizations.audit.log import verify_chain
from organizations.models import AuditEvent, Organization, SavedView
from organizations.tenancy.scope import organization_scope
from tokens.actions import revoke_credential
from tokens.models import Credential, TokenEvent

NOW = datetime(2026, 11, 20, 14, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def first(django_db_setup: None, django_db_blocker: Any) -> Iterator[seed.DemoAccess]:
    """The demonstration as of NOW, in one transaction for all tests of this file: each one changes
    it in a savepoint of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        with time_machine.travel(NOW, tick=False):
            access = seed.seed()
        yield access
        transaction.set_rollback(True)


def facts() -> dict[str, Any]:
    found = {}
    for organization in Organization.objects.filter(status="active"):
        with organization_scope(organization):
            events = TokenEvent.objects.order_by("id")
            found[organization.slug] = (
                list(events.values_list("id", "outcome", "agent_id", "created_at")),
                list(Agent.objects.order_by("id").values_list("id", "email", "status")),
            )
    return found


@pytest.mark.slow
def test_seeding_twice_adds_what_happened_since_and_nothing_else(
    first: seed.DemoAccess, db: None
) -> None:
    before = facts()
    with time_machine.travel(NOW, tick=False):
        again = seed.seed()
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        later = seed.seed()

    assert again.events == 0
    assert 0 < later.events < 1000
    for slug, (events, agents) in facts().items():
        assert set(before[slug][0]) < set(events)
        assert before[slug][1] == agents
    for organization in Organization.objects.filter(status="active"):
        assert rebuild_rollups(organization) == ()
        with organization_scope(organization):
            assert verify_chain(organization).is_intact
            newest = TokenEvent.objects.aggregate(at=Max("created_at"))["at"]
            assert NOW < newest <= NOW + timedelta(hours=2)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["revoke", "suspend", "decommission"])
@time_machine.travel(NOW + timedelta(minutes=5))
def test_the_next_start_hands_out_an_agent_that_gets_in_whatever_a_visitor_ended(
    first: seed.DemoAccess, db: None, action: str
) -> None:
    organization = Organization.objects.get(slug="northwind-labs")
    actor = Actor.for_system(organization, "visitor")
    with organization_scope(organization):
        agent = Agent.objects.get(pk=first.client_id)
        if action == "revoke":
            for credential in Credential.objects.usable().filter(agent=agent):
                revoke_credential(credential, actor=actor)
        elif action == "suspend":
            suspend_agent(agent, actor=actor)
        else:
            decommission_agent(agent, actor=actor)

    again = seed.seed()

    token = Client().post(
        "/api/v1/token",
        f"grant_type=client_credentials&client_id={again.client_id}"
        f"&client_secret={again.client_secret}",
        content_type="application/x-www-form-urlencoded",
    )
    assert token.status_code == 200, token.content
    assert (again.client_id == first.client_id) == (action != "decommission")


@pytest.mark.slow
def test_people_have_decided_through_the_log_and_what_a_visitor_undoes_stays_undone(
    first: seed.DemoAccess, db: None
) -> None:
    organization = Organization.objects.get(slug="northwind-labs")
    decided = {"error_group.resolved": 2, "finding.snoozed": 1, "view.shared": 3}
    with organization_scope(organization):
        assert events_of(*decided) == decided
        owners = SavedView.objects.values_list("owner__username", flat=True)
        assert sorted(str(owner) for owner in owners) == ["None"] * 3 + ["admin"] * 2
        with time_machine.travel(NOW, tick=False):
            assert [each.code for each in findings_of(organization) if each.snooze] == [
                "dominant_agent"
            ]
        for model in (ErrorResolution, FindingSnooze, SavedView):
            model.objects.all().delete()

    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        seed.seed()

    with organization_scope(organization):
        assert events_of(*decided) == decided
        for model in (ErrorResolution, FindingSnooze, SavedView):
            assert not model.objects.exists()


def events_of(*actions: str) -> dict[str, int]:
    found = AuditEvent.objects.filter(action__in=actions)
    return Counter(found.values_list("action", flat=True))


@pytest.mark.slow
def test_executions_match_their_events_and_continue(first: seed.DemoAccess, db: None) -> None:
    """Executions inserted in bulk must equal ones whose events were reported one by one."""
    with time_machine.travel(NOW, tick=False):
        again = seed.seed()
    at_work = live_executions()
    with time_machine.travel(NOW + timedelta(hours=3), tick=False):
        later = seed.seed()

    assert first.executions > 500
    assert again.executions == 0
    assert 0 < later.executions < 100
    assert at_work.keys() - live_executions().keys(), "some have ended since"
    for organization in Organization.objects.filter(status="active"):
        with organization_scope(organization):
            executions = Execution.objects.all()
            assert {"finished", "error", "cancelled", "awaiting"} <= set(
                executions.values_list("status", flat=True)
            )
            assert executions.filter(cost__gt=0).exists()
            assert executions.values("user").distinct().count() > 3
            assert ExecutionError.objects.values("fingerprint").distinct().count() > 5
            actor = Actor.for_system(organization, "visitor")
            states = {each.state.state for each in error_groups(organization, actor).rows}
            assert {"regressed", "resolved", "ongoing"} <= states
            assert ExecutionFile.objects.count() == executions.filter(download_count=1).count() > 50
            for execution in executions.order_by("?")[:100]:
                assert_follows_from_its_events(execution)


def live_executions() -> dict[Any, str]:
    found = {}
    for organization in Organization.objects.filter(status="active"):
        with organization_scope(organization):
            found |= dict(Execution.objects.live().values_list("pk", "status"))
    return found


def assert_follows_from_its_events(execution: Execution) -> None:
    events = ExecutionEvent.objects.filter(execution_id=execution.pk).order_by("sequence")
    recount = Execution(agent_name=execution.agent_name, organization_id=execution.organization_id)
    errors = apply_events(recount, list(events))
    for name in ("status", "start_time", "end_time", "error", "final", "meta", "last_sequence"):
        assert getattr(recount, name) == getattr(execution, name), name
    found = ExecutionError.objects.filter(execution_id=execution.pk)
    assert [each.fingerprint for each in errors] == [each.fingerprint for each in found]


@pytest.mark.slow
def test_every_start_brings_executions_to_run_whatever_an_earlier_one_left(
    first: seed.DemoAccess, db: None
) -> None:
    from demo import jobs  # imported here because it registers the demonstration's jobs

    with time_machine.travel(NOW, tick=False):
        for _ in range(4):
            before = queued()

            jobs.begin()

            assert all(queued()[slug] > before[slug] for slug in before)
    assert len(before) == 2


def queued() -> dict[str, int]:
    """The number of executions that wait for a worker in each organization."""
    found = {}
    for organization in Organization.objects.filter(status="active"):
        with organization_scope(organization):
            rows = Execution.objects.filter(status="queued", source=Execution.Source.WORKER)
            found[organization.slug] = rows.count()
    return found
