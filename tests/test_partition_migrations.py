"""Tables with rows become partitioned ones, and back, without losing or copying a row."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from agents.tests.factories import make_agent
from analytics.models import AgentMonthUsage
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import event, make_event, store
from core.partitions import months_without_partition
from core.table_protection import unprotected
from executions.models import ExecutionEvent
from executions.tests.factories import FINISHED
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tests.partitions import RUNS, TABLES, TOKENS, bounds, make_run, month, name_of, rows_in
from tokens.models import TokenEvent

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
