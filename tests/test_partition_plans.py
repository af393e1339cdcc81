"""Reads of partitioned tables look at the months that they are about, and a list without a window
stops after its first page."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.periods import Period
from analytics.queries import Narrowing, count_by_hour_of_week
from executions.event_log import NewEvent, append_events
from executions.models import Execution, ExecutionError, now
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization
from tests.partitions import RUNS, TABLES, TOKENS, make_run, month, name_of
from tests.plans import nodes

EACH = 1000
"""Token events of the organization and month: one every forty minutes. Another one has ten times as
many."""
EVENTS = f"""
    INSERT INTO {TOKENS}
        (id, organization_id, created_at, outcome, reason, scope, agent_id)
    SELECT gen_random_uuid(), %(organization)s,
        %(month)s + n * interval '40 minutes' / %(times)s, 'issued', '', '',
        CASE WHEN n %% 10 = 0 THEN %(agent)s::uuid END
    FROM generate_series(0, {EACH} * %(times)s - 1) n
"""
PAGE, DAY_OF_EVENTS = 51, 36
MONTHS = range(-5, 1)
OF_EVENTS = re.compile(rf"SELECT (?!COUNT).*?\b({'|'.join(TABLES)})\b", re.DOTALL)


@pytest.fixture
def agent(past: None, owner: psycopg.Connection) -> Agent:
    """Has a tenth of its organization's token events."""
    agents = [make_agent(make_organization()), make_agent(make_organization())]
    for each, times in zip(agents, (1, 10), strict=True):
        for ahead in MONTHS:
            values = {
                "organization": each.organization_id,
                "agent": each.pk,
                "month": month(ahead),
                "times": times,
            }
            with organization_scope(each.organization), connection.cursor() as cursor:
                cursor.execute(EVENTS, values)
    owner.execute("VACUUM (ANALYZE)")
    return agents[0]


def rows_read(read: Callable[[], Any], of: Agent | Execution) -> dict[str, int]:
    """How many rows of each partition the statements of `read` touch, matching or not, apart from
    counts, which have a limit of their own.

    A sequential scan of one with rows fails the test.
    """
    with CaptureQueriesContext(connection) as captured:
        read()
    found: dict[str, int] = {}
    for query in captured.captured_queries:
        if not OF_EVENTS.match(query["sql"]):
            continue
        with organization_scope(of.organization), connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query['sql']}")
            ((plan,),) = cursor.fetchall()
        for node in nodes(plan[0]["Plan"]):
            name = node.get("Relation Name", "")
            if name.startswith(TABLES) and node["Actual Loops"]:
                touched = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                number = round(touched * node["Actual Loops"])
                assert "Seq" not in node["Node Type"] or number == 0, query["sql"]
                found[name] = found.get(name, 0) + number
    assert found
    return found


@pytest.mark.slow
def test_lists_and_charts_of_token_events_read_few_rows_of_few_months(
    agent: Agent, signed_in: Callable[..., Client]
) -> None:
    home = agent.organization
    browser = signed_in(make_membership(home))
    url, day = reverse("tokens:list"), f"{month(-3) + timedelta(days=9):%Y-%m-%d}"
    week = Period.last_days(7, now=month(-1) + timedelta(days=20))

    def hours() -> None:
        with organization_scope(home):
            count_by_hour_of_week(home, week, narrowing=Narrowing(agent_id=agent.pk))

    newest = rows_read(lambda: browser.get(url), agent)
    of_day = rows_read(lambda: browser.get(f"{url}?date={day}"), agent)
    each_of_day = rows_read(lambda: browser.get(f"{url}?date={day}&each=1"), agent)
    of_agent = rows_read(lambda: browser.get(f"/agents/{agent.pk}"), agent)
    of_hours = rows_read(hours, agent)

    # Seven days, and the seven before; a day, and the one a week before.
    assert set(newest) <= {name_of(TOKENS, month(-1)), name_of(TOKENS, month(0))}
    assert set(of_day) == set(each_of_day) == {name_of(TOKENS, month(-3))}
    # Thirty days of the agent, which has a tenth of the events, and on the first of a month the
    # days after today, which have events in this test.
    with_rows = {name for name, rows in of_agent.items() if rows}
    assert with_rows <= {name_of(TOKENS, month(-1)), name_of(TOKENS, month(0))}
    assert sum(of_agent.values()) <= 2 * DAY_OF_EVENTS * 31 // 10
    assert of_hours == {name_of(TOKENS, month(-1)): DAY_OF_EVENTS * 7 // 10}


def test_the_events_of_an_execution_are_read_from_one_partition(
    past: None, signed_in: Callable[..., Client]
) -> None:
    home = make_organization()
    browser = signed_in(make_membership(home))
    runs = [make_run(home, month(ahead)) for ahead in MONTHS]
    with organization_scope(home):
        append_events(runs[2], [NewEvent(now(), "error", "It broke.")], is_strict=False)

    read = rows_read(lambda: browser.get(f"/executions/{runs[2].fid}"), runs[2])

    with organization_scope(home):
        assert ExecutionError.objects.exists(), "whose texts are read as well"
    assert set(read) == {name_of(RUNS, month(MONTHS[2]))}
