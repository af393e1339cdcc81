"""The demonstration's data is complete, reproducible, and extended but never duplicated."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db.models import Max
from django.test import Client

from agents.actions import decommission_agent, suspend_agent
from agents.models import Agent
from analytics.rebuild import rebuild_rollups
from demo import seed
from executions.event_log import apply_events
from executions.models import Execution, ExecutionError, ExecutionEvent, ExecutionFile
from organizations.actors import Actor
from organizations.audit.log import verify_chain
from organizations.models import Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization, make_user
from tokens.actions import revoke_credential
from tokens.models import Credential, TokenEvent

NOW = datetime(2026, 11, 20, 14, 10, tzinfo=UTC)


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
def test_seeding_twice_adds_what_happened_since_and_nothing_else(db: None) -> None:
    with time_machine.travel(NOW, tick=False):
        seed.seed()
        first = facts()
        again = seed.seed()
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        later = seed.seed()

    assert again.events == 0
    assert 0 < later.events < 1000
    for slug, (events, agents) in facts().items():
        assert set(first[slug][0]) < set(events)
        assert first[slug][1] == agents
    for organization in Organization.objects.filter(status="active"):
        assert rebuild_rollups(organization) == ()
        with organization_scope(organization):
            assert verify_chain(organization).is_intact
            newest = TokenEvent.objects.aggregate(at=Max("created_at"))["at"]
            assert NOW < newest <= NOW + timedelta(hours=2)


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["revoke", "suspend", "decommission"])
def test_the_next_start_hands_out_an_agent_that_gets_in_whatever_a_visitor_ended(
    db: None, deed: str
) -> None:
    first = seed.seed()
    organization = Organization.objects.get(slug="northwind-labs")
    actor = Actor.for_system(organization, "visitor")
    with organization_scope(organization):
        agent = Agent.objects.get(pk=first.client_id)
        if deed == "revoke":
            for credential in Credential.objects.usable().filter(agent=agent):
                revoke_credential(credential, actor=actor)
        elif deed == "suspend":
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
    assert (again.client_id == first.client_id) == (deed != "decommission")


@pytest.mark.slow
def test_the_command_opens_both_doors(db: None) -> None:
    access = json.loads(call_command("seed_demo", stdout=StringIO(), stderr=StringIO()))
    client = Client()

    token = client.post(
        "/api/v1/token",
        f"grant_type=client_credentials&client_id={access['client_id']}"
        f"&client_secret={access['client_secret']}",
        content_type="application/x-www-form-urlencoded",
    )

    assert token.status_code == 200
    header = {"Authorization": f"Bearer {token.json()['access_token']}"}
    data = client.get("/api/v1/analytics/agents", headers=header).json()["data"]
    assert len(data) > 10
    assert client.login(username="admin", password="admin")
    assert Membership.objects.filter(user__username="admin", role="owner").count() == 2


def test_a_real_deployment_is_never_filled(db: None, settings: Any) -> None:
    settings.IS_DEMO, settings.ENVIRONMENT = False, "production"

    with pytest.raises(CommandError, match="AGENTIDP_DEMO=1"):
        call_command("seed_demo")

    assert not Organization.objects.filter(slug="northwind-labs").exists()


@pytest.mark.parametrize("what", ["an organization", "a namesake", "a person"])
def test_a_database_with_something_else_in_it_is_never_filled(
    db: None, settings: Any, what: str
) -> None:
    settings.IS_DEMO = True
    if what == "a person":
        make_user()
    else:
        slug = "acme" if what == "an organization" else "northwind-labs"
        make_organization("Somebody's", slug=slug)
    people, organizations = User.objects.count(), Organization.objects.count()

    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("seed_demo")
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("demo", port=0, once=True)

    assert (User.objects.count(), Organization.objects.count()) == (people, organizations)


@pytest.mark.slow
def test_executions_match_their_events_and_continue(db: None) -> None:
    """Executions inserted in bulk must equal ones whose events were reported one by one."""
    with time_machine.travel(NOW, tick=False):
        first = seed.seed()
        again = seed.seed()
    at_work = live_executions()
    with time_machine.travel(NOW + timedelta(hours=3), tick=False):
        later = seed.seed()

    assert first.executions > 2000
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
def test_every_start_brings_executions_to_run_whatever_an_earlier_one_left(db: None) -> None:
    from demo import jobs  # imported here because it registers the demonstration's jobs

    with time_machine.travel(NOW, tick=False):
        seed.seed()
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
