"""Token events are dropped by whole months, as long ago as the operator keeps them."""

from datetime import datetime
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection

from agents.tests.factories import make_agent
from analytics.models import AgentMonthUsage
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import make_event
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.partitions import TOKENS, month, name_of
from tokens.models import TokenEvent
from tokens.retention import drop_old_events


def recorded(organization: Organization) -> list[tuple[str, Any]]:
    with organization_scope(organization):
        found = AuditEvent.objects.order_by("sequence").values_list("action", "metadata")
        return [row for row in found if row[0].startswith("token_events.")]


def times_of(organization: Organization) -> list[datetime]:
    with organization_scope(organization):
        rows = TokenEvent.objects.order_by("created_at")
        return list(rows.values_list("created_at", flat=True))


MONTHS = range(-5, 1)


def test_token_events_are_dropped_by_whole_months_and_the_rollups_stay(
    past: None, settings: Any, time_machine: Any
) -> None:
    settings.TOKEN_EVENT_RETENTION_MONTHS = 2
    old, new = make_agent(make_organization()), make_agent(make_organization())
    for ahead in MONTHS:
        make_event(old, month(ahead))
    make_event(new, month(-2))
    time_machine.move_to(month(12))  # of the worker, whose clock decides nothing

    dropped = drop_old_events()

    assert dropped == [name_of(TOKENS, month(ahead)) for ahead in range(-6, -2)]
    assert times_of(old.organization) == [month(-2), month(-1), month()]
    assert times_of(new.organization) == [month(-2)]
    assert rebuild_rollups(old.organization) == (), "it compares what is left"
    with organization_scope(old.organization):
        assert AgentMonthUsage.objects.count() == len(MONTHS)
        AgentMonthUsage.objects.filter(month=month(-1)).update(issued=7)
    assert [each.rows for each in rebuild_rollups(old.organization)] == [1]
    before = {"before": month(-2).isoformat()}
    assert recorded(old.organization) == [
        ("token_events.expiry_started", before),
        ("token_events.expired", before),
    ]
    assert recorded(new.organization) == []
    assert drop_old_events() == []
    assert len(recorded(old.organization)) == 2


def test_token_events_are_kept_for_ever_unless_the_operator_says_otherwise(past: None) -> None:
    agent = make_agent(make_organization())
    make_event(agent, month(-6))

    assert drop_old_events() == []

    assert times_of(agent.organization) == [month(-6)]
    assert recorded(agent.organization) == []


def test_an_old_token_event_that_came_later_is_deleted_the_next_night(
    past: None, settings: Any
) -> None:
    settings.TOKEN_EVENT_RETENTION_MONTHS = 1
    agent = make_agent(make_organization())
    drop_old_events()
    make_event(agent, month(-5))
    make_event(agent, month(-1))

    assert drop_old_events() == []

    assert times_of(agent.organization) == [month(-1)]
    assert len(recorded(agent.organization)) == 2


def test_a_table_in_use_is_dropped_from_later_and_the_attempt_is_recorded(
    past: None, owner: psycopg.Connection, settings: Any
) -> None:
    settings.TOKEN_EVENT_RETENTION_MONTHS = 1
    agent = make_agent(make_organization())
    make_event(agent, month(-5))
    with owner.transaction():
        owner.execute(f"LOCK TABLE {TOKENS} IN ACCESS SHARE MODE")

        with pytest.raises(OperationalError, match="lock timeout"):
            drop_old_events()

    assert times_of(agent.organization) == [month(-5)]
    assert [action for action, _ in recorded(agent.organization)] == ["token_events.expiry_started"]


@pytest.mark.parametrize("months", ["0", "-1", "NULL"])
def test_a_month_of_token_events_is_always_kept(past: None, months: str) -> None:
    with pytest.raises(DatabaseError, match="at least one whole month"):
        connection.cursor().execute(f"SELECT tokens_drop_partition({months})")
