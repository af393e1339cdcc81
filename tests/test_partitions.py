"""Tables partitioned by month: partitions are made ahead, protected like their parent, and dropped
only when nobody keeps what is in them.
"""

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import F
from django.test import Client
from psycopg import errors

from agentidp import health
from agents.tests.factories import make_agent
from analytics.models import AgentMonthUsage
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import make_event
from core.partitions import make_partitions, months_without_partition
from core.table_protection import unprotected
from executions.event_log import NewEvent, append_events
from executions.models import Execution, ExecutionEvent
from executions.retention import drop_empty_partitions
from executions.tests.factories import FINISHED
from executions.tests.threads import at_once
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.partitions import RUNS, TABLES, TOKENS, bounds, make_run, month, name_of, rows_in
from tokens.models import TokenEvent


def without_last(owner: psycopg.Connection, table: str) -> datetime:
    """Drop the partition of the last month ahead; return that month."""
    last = month(3)
    owner.execute(f"DROP TABLE {name_of(table, last)}")
    return last


@pytest.mark.parametrize("table", TABLES)
def test_this_month_and_the_next_three_have_partitions(db: None, table: str) -> None:
    first, *others, default = bounds(table)

    assert first[1] is None, "what is older is in the first one"
    assert default == (f"{table}_default", None, None)
    assert [since for _, since, _ in others] == [before for _, _, before in [first, *others][:-1]]
    assert others[-1] == (name_of(table, month(3)), month(3), month(4))
    assert make_partitions() == []


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_partition_is_told_and_made_by_the_application(
    past: None, owner: psycopg.Connection, table: str
) -> None:
    partitions = bounds(table)
    owner.execute(f"DROP TABLE {name_of(table, month(1))}")
    health.missing_partitions.forget()
    health.readiness.forget()
    try:
        answer = Client().get("/readyz").json()
        with connection.cursor() as cursor:
            missing = months_without_partition(cursor)
        made = make_partitions()
        with connection.cursor() as cursor:
            problems = unprotected(cursor), months_without_partition(cursor)
    finally:
        health.missing_partitions.forget()
        health.readiness.forget()
        make_partitions()

    assert answer["checks"]["partitions"] == "failed"
    assert answer["status"] == "degraded"
    assert missing == [(table, f"{month(1):%Y-%m}")]
    assert made == [name_of(table, month(1))]
    assert problems == ([], [])
    assert bounds(table) == partitions


def test_two_may_make_the_same_partitions_at_once(owner: psycopg.Connection) -> None:
    for table in TABLES:
        without_last(owner, table)

    made = at_once(make_partitions, make_partitions)

    every = sorted(name for names in made for name in names)
    assert every == sorted(name_of(table, month(3)) for table in TABLES)


def test_whoever_uses_a_table_is_not_kept_waiting(owner: psycopg.Connection) -> None:
    """Making gives up before PostgreSQL looks for a deadlock, which another one might lose."""
    without_last(owner, TOKENS)
    with owner.transaction():
        owner.execute(f"LOCK TABLE {TOKENS}_default IN ACCESS SHARE MODE")

        with pytest.raises(OperationalError, match="lock timeout"):
            make_partitions()

    assert make_partitions() == [name_of(TOKENS, month(3))]


def test_token_events_that_came_too_early_move_and_are_not_counted_again(
    owner: psycopg.Connection,
) -> None:
    two = [make_agent(make_organization()), make_agent(make_organization())]
    last = without_last(owner, TOKENS)
    for agent in two:
        make_event(agent, last)
        make_event(agent, month(4))
    early = rows_in(owner, f"{TOKENS}_default")

    make_partitions()

    assert early == 4
    assert rows_in(owner, name_of(TOKENS, last)) == rows_in(owner, f"{TOKENS}_default") == 2
    for agent in two:
        assert rebuild_rollups(agent.organization) == ()
        with organization_scope(agent.organization):
            TokenEvent.objects.filter(created_at=last).update(times=F("times") + 4)
            counts = AgentMonthUsage.objects.order_by("month").values_list("issued", flat=True)
            assert list(counts) == [5, 1]
        assert rebuild_rollups(agent.organization) == ()


def test_events_of_executions_that_came_too_early_move(owner: psycopg.Connection) -> None:
    organization = make_organization()
    last = without_last(owner, RUNS)
    execution = make_run(organization, last)
    early = rows_in(owner, f"{RUNS}_default")

    make_partitions()

    assert early == rows_in(owner, name_of(RUNS, last)) == len(FINISHED)
    with organization_scope(organization):
        again = Execution.objects.get(pk=execution.pk)
        append_events(again, [NewEvent(again.start_time, "stdout", "more")], is_strict=False)
        rows = ExecutionEvent.objects.filter(execution=again)
        assert list(rows.values_list("sequence", flat=True)) == [1, 2, 3, 4]


def test_all_events_of_an_execution_are_in_the_partition_of_its_month(
    owner: psycopg.Connection,
) -> None:
    make_run(make_organization(), month(2))

    assert rows_in(owner, name_of(RUNS, month(2))) == len(FINISHED)


def test_a_row_of_whatever_time_is_taken(owner: psycopg.Connection) -> None:
    agent = make_agent(make_organization())

    for year in (1970, 2200):
        make_event(agent, datetime(year, 5, 1, tzinfo=UTC))
        make_run(agent.organization, datetime(year, 5, 1, tzinfo=UTC))

    for table, number in ((TOKENS, 1), (RUNS, len(FINISHED))):
        first = bounds(table)[0][0]
        assert rows_in(owner, first) == rows_in(owner, f"{table}_default") == number
    assert rebuild_rollups(agent.organization) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT organizations_make_partition('tokens_tokenevent', '2030-01-01')",
        *(f"SELECT * FROM {table}_default" for table in TABLES),
        *(f"DELETE FROM {table}_default" for table in TABLES),
        *(f"INSERT INTO {table}_default SELECT * FROM {table}" for table in TABLES),
        *(f"ALTER TABLE {table} DETACH PARTITION {table}_default" for table in TABLES),
    ],
)
def test_the_application_reaches_no_partition_but_through_its_parent(
    db: None, statement: str
) -> None:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        connection.cursor().execute(statement)

    assert isinstance(refusal.value.__cause__, errors.InsufficientPrivilege)


def delete_events(execution: Execution) -> None:
    with organization_scope(execution.organization):
        ExecutionEvent.objects.filter(execution=execution).delete()


def test_a_partition_of_events_is_dropped_when_its_executions_are_deleted(
    past: None, owner: psycopg.Connection
) -> None:
    homes = make_organization(), make_organization()
    runs = {(home, ahead): make_run(home, month(ahead)) for home in homes for ahead in (-5, -4, -1)}
    for (_, ahead), run in runs.items():
        if ahead != -4:
            delete_events(run)
    delete_events(runs[homes[0], -4])
    owner.execute(f"VACUUM {RUNS}")

    dropped = drop_empty_partitions()

    assert dropped == [name_of(RUNS, month(ahead)) for ahead in (-6, -5, -3, -2)]
    with organization_scope(homes[1]):
        kept = ExecutionEvent.objects.filter(execution_id=runs[homes[1], -4].pk)
        assert kept.count() == len(FINISHED)
    with connection.cursor() as cursor:
        assert unprotected(cursor) == []
