"""Tables partitioned by month: partitions are made ahead, protected like their parent, and dropped
only when nobody keeps what is in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import F
from django.test import Client
from psycopg import errors

from agentidp import health
from agents.tests.factories import make_agent
from analytics.models import AgentMonthUsage
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import event, make_event, store
from core.partitions import make_partitions, months_without_partition
from core.table_protection import unprotected
from executions.event_log import NewEvent, append_events
from executions.models import Execution, ExecutionEvent
from executions.retention import drop_empty_partitions
from executions.tests.factories import FINISHED
from executions.tests.threads import at_once
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.partitions import RUNS, TABLES, TOKENS, bounds, make_run, month, name_of, rows_in
from tokens.models import TokenEvent
from tokens.retention import drop_old_events


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


# Of retention


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


# Of the migrations that partition the tables

BEFORE = {"tokens": "0030_has_secret", "executions": "0030_in_time_before"}


def migrate(**to: str) -> None:
    for app, name in to.items():
        call_command("migrate", app, name, verbosity=0)


def file_of(owner: psycopg.Connection, table: str) -> int:
    return owner.execute("SELECT pg_relation_filenode(%s::regclass)", [table]).fetchone()[0]


def kind_of(owner: psycopg.Connection, table: str) -> str:
    query = "SELECT relkind::text FROM pg_class WHERE oid = %s::regclass"
    return owner.execute(query, [table]).fetchone()[0]


def contents(organization: Organization) -> dict[str, list[Any]]:
    with organization_scope(organization):
        return {
            "tokens": list(TokenEvent.objects.order_by("pk").values()),
            "events": list(ExecutionEvent.objects.order_by("execution_id", "sequence").values()),
            "months": list(AgentMonthUsage.objects.order_by("month").values()),
        }


@pytest.mark.slow
@pytest.mark.parametrize("has_odd_clocks", [False, True])
def test_a_migration_of_tables_with_rows_loses_and_copies_none(
    owner: psycopg.Connection, has_odd_clocks: bool
) -> None:
    """Only what is of a later month leaves the table, which becomes the first partition."""
    agent = make_agent(make_organization())
    organization = agent.organization
    times = [month(-2), month(), *([month(2), month(30)] if has_odd_clocks else ())]
    store(organization, [event(agent, at, times=2) for at in times])
    for at in times:
        make_run(organization, at)
    before = contents(organization)
    try:
        migrate(**BEFORE)
        kinds = [kind_of(owner, table) for table in TABLES]
        files = [file_of(owner, table) for table in TABLES]
        assert contents(organization) == before
    finally:
        call_command("migrate", verbosity=0)

    assert kinds == ["r", "r"]
    assert contents(organization) == before
    assert [file_of(owner, bounds(table)[0][0]) for table in TABLES] == files
    for table, number in ((TOKENS, 1), (RUNS, len(FINISHED))):
        assert rows_in(owner, bounds(table)[0][0]) == 2 * number
        if has_odd_clocks:
            assert rows_in(owner, name_of(table, month(2))) == number
            assert rows_in(owner, f"{table}_default") == number
    make_event(agent, month(1) + timedelta(days=3))
    make_event(agent, month(), outcome="refused")
    assert rebuild_rollups(organization) == ()
    with connection.cursor() as cursor:
        assert unprotected(cursor) == []
        assert months_without_partition(cursor) == []
