"""What hot reads cost the database: which indexes they use, and how many rows they read.

An organization with thousands of rows stands beside three others, and PostgreSQL knows them all: to
read all rows in order to find its own would be slower than an index.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.periods import Period
from analytics.queries import count_by_day, count_by_hour_of_week
from analytics.requests.breakdown import break_down, count_before
from analytics.requests.filters import LISTS, RequestFilters
from analytics.requests.folds import Folds
from analytics.requests.window import Window
from executions import queries
from executions.filters import Filters
from executions.models import ErrorResolution, Execution
from executions.queries import StateFilter
from executions.retention import _ended_before
from executions.tests.ended import add_up
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from pages.executions.comparison import LOOKED_AT, compared_with
from pages.palette import rows as palette
from tests.plans import nodes

NUMBER = 4000
"""Of executions, and of token events, for each organization."""
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EXECUTIONS = """
    INSERT INTO executions_execution (
        id, organization_id, created_at, fid, source, agent_name, status, start_time, end_time,
        waiting_seconds, meta, error, open_locks, upload_count, download_count, last_sequence,
        lease_generation
    )
    SELECT gen_random_uuid(), %(organization)s, now(), lpad(to_hex(n), 8, '0'), 'api',
        'Agent ' || n %% 5, CASE WHEN n %% 50 = 0 THEN 'error' WHEN n > 20 THEN 'finished'
                                 ELSE 'running' END,
        %(now)s - n * 600, %(now)s - n * 600 + random() * 100, 0, '{}', '', '[]', 0, 0, 0, 0
    FROM generate_series(1, %(number)s) n
"""
ERRORS = """
    INSERT INTO executions_executionerror (
        id, organization_id, created_at, execution_id, sequence, timestamp, error_type, message,
        fingerprint
    )
    SELECT gen_random_uuid(), organization_id, to_timestamp(start_time), id, 1, start_time, '', '',
        'v3:' || right(agent_name, 1)
    FROM executions_execution WHERE organization_id = %(organization)s
"""
EVENTS = """
    INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, scope,
        used_previous_secret, resource, secret_hint, credential_name)
    SELECT gen_random_uuid(), %(organization)s, to_timestamp(%(now)s - n * 600), 'refused',
        'unknown_client', '', false, '', '', ''
    FROM generate_series(1, %(number)s) n
"""
TABLES = ("executions_execution", "executions_endedintime", "executions_executionerror")
PARTITIONS = "tokens_tokenevent_"


@pytest.fixture
def filled(owner: psycopg.Connection) -> Organization:
    organizations = [make_organization() for _ in range(4)]
    for each in organizations:
        values = {"organization": each.pk, "now": NOW.timestamp(), "number": NUMBER}
        with organization_scope(each), connection.cursor() as cursor:
            cursor.execute(EXECUTIONS, values)
            cursor.execute(EVENTS, values)
            cursor.execute(ERRORS, values)
            add_up(each)
            ErrorResolution.objects.create(
                organization=each, fingerprint="v3:1", resolved_at=NOW, actor_kind="system"
            )
    owner.execute("ANALYZE")
    return organizations[0]


def rows_read(read: Callable[[], Any]) -> dict[str, int]:
    """How many rows of each large table the statements of `read` touch, matching or not.

    A sequential scan fails the test: it reads other organizations' rows.
    """
    with CaptureQueriesContext(connection) as captured:
        read()
    found: dict[str, int] = {}
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query['sql']}")
            ((plan,),) = cursor.fetchall()
        for node in nodes(plan[0]["Plan"]):
            table = node.get("Relation Name", "")
            if table in TABLES or table.startswith(PARTITIONS):
                assert "Index" in node["Node Type"] or "Bitmap" in node["Node Type"], query["sql"]
                matching = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                found[table] = found.get(table, 0) + round(matching * node["Actual Loops"])
    return found


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def system(organization: Organization) -> Actor:
    return Actor.for_system(organization, "test")


def newest(organization: Organization) -> Execution:
    """The newest execution that has failed, among all agents' about one in fifty."""
    runs = queries.executions(organization, system(organization))
    return runs.filter(status="error", agent_name="Agent 0").order_by("-start_time")[0]


LAST_DAY = Filters(start=NOW.timestamp() - 24 * 3600, is_recent=True)
TWENTY_DAYS = Filters(start=NOW.timestamp() - 20 * 24 * 3600, is_recent=True)
FIXED = Filters(start=NOW.timestamp() - 20 * 24 * 3600, end=NOW.timestamp() - 3600)
MONTH = Period.last_days(30, now=NOW)
KATHMANDU = ZoneInfo("Asia/Kathmandu")
WHOLE_DAYS, DAYS_ELSEWHERE = (
    Filters(start=period.start.timestamp(), end=period.end.timestamp())
    for period in (Period.last_days(65, zone, NOW) for zone in (None, KATHMANDU))
)
DAY = Window.last_days(1, ZoneInfo("UTC"), NOW)
MONTH_OF_REQUESTS = Window.last_days(25, ZoneInfo("UTC"), NOW)
A_DAY = 144 * (2 + 2 * 5)
"""Each list reads the day and the one before, as does the search for where to begin."""
LIVE = 20
HALF_A_DAY = 73
OF_A_DAY = {"status": 2, "agent": 5, "user": 1, "runtime": 24}
"""How many rows a day has in the rollup of executions."""
GROUPS = 5
"""Of errors, each of an agent of its own; every execution has an error."""
OF_A_STATE = 2
"""To find an error of the group, and whether another was received before or after a time."""
RESOLVED = StateFilter(("resolved", "regressed"))
IN_BINS = NUMBER * 0.35
"""In those of the three percentiles, and next to them: runtimes are spread evenly."""
READS: dict[str, tuple[Callable[[Organization], Any], int]] = {
    "a page": (lambda home: list(queries.executions(home, system(home))[:50]), 51),
    "a page of a day": (
        lambda home: list(queries.executions(home, system(home), LAST_DAY)[:50]),
        LIVE + 150,
    ),
    "a count of a day": (
        lambda home: queries.count(home, system(home), LAST_DAY),
        2 * (LIVE + 150),
    ),
    "a count": (lambda home: queries.count(home, system(home)), LIVE + OF_A_DAY["status"]),
    "totals": (lambda home: queries.totals(home, system(home)), LIVE + OF_A_DAY["status"]),
    "live ones": (lambda home: queries.live_by_status(home, system(home)), LIVE),
    "statistics": (
        lambda home: queries.statistics(home, system(home)),
        2 * LIVE + sum(OF_A_DAY.values()) + IN_BINS,
    ),
    "a day's statistics": (
        lambda home: queries.statistics(home, system(home), LAST_DAY),
        4 * (LIVE + 150),  # for the tally and for percentiles: what began, and what ended
    ),
    "a count of twenty days": (
        lambda home: queries.count(home, system(home), TWENTY_DAYS),
        LIVE + 2 * HALF_A_DAY + 20 * OF_A_DAY["status"],
    ),
    "statistics of twenty days": (
        lambda home: queries.statistics(home, system(home), TWENTY_DAYS),
        2 * LIVE + 2 * HALF_A_DAY + 20 * sum(OF_A_DAY.values()) + IN_BINS,
    ),
    "statistics of days with an end": (
        lambda home: queries.statistics(home, system(home), FIXED),
        2 * LIVE + 2 * HALF_A_DAY + 20 * sum(OF_A_DAY.values()) + IN_BINS,
    ),
    "a timeline of twenty days": (
        lambda home: queries.count_over_time(home, system(home), TWENTY_DAYS),
        LIVE + 2 * HALF_A_DAY + 20 * OF_A_DAY["status"],
    ),
    "a timeline by the quarter of an hour": (
        lambda home: queries.count_over_time(home, system(home), TWENTY_DAYS, zone=KATHMANDU),
        LIVE + 3 + NUMBER * 0.75,  # every second quarter of an hour has one
    ),
    "the overview's runs by day": (
        lambda home: queries.count_over_time(home, system(home), WHOLE_DAYS, step="day"),
        LIVE + 29 * OF_A_DAY["status"],
    ),
    "the overview's runs by day elsewhere": (
        lambda home: queries.count_over_time(
            home, system(home), DAYS_ELSEWHERE, zone=KATHMANDU, step="day"
        ),
        LIVE + 3 + NUMBER,
    ),
    "the palette's runs": (
        lambda home: list(palette.runs(system(home), "000000a")),
        palette.IDS_READ + 16,
    ),
    "a run to compare with": (
        lambda home: compared_with(newest(home), system(home)),
        51 + 5 * LOOKED_AT + LOOKED_AT,  # that run, then those of all five agents, then its agent's
    ),
    "those that wait": (lambda home: list(queries.waiting(home, system(home))[:5]), LIVE),
    "the overview's facts": (
        lambda home: queries.recent_activity(home, system(home), NOW.timestamp() - 24 * 3600),
        LIVE + 2 * HALF_A_DAY + OF_A_DAY["status"] + 1,
    ),
    "a count of errors of twenty days": (
        lambda home: queries.count_errors(home, system(home), TWENTY_DAYS),
        2 * HALF_A_DAY,
    ),
    "groups of errors of twenty days": (
        lambda home: queries.error_groups(home, system(home), TWENTY_DAYS),
        # at the edge, in all and by day; the newest and the first one; the state; in how many
        # executions
        2 * 2 * HALF_A_DAY + 3 * GROUPS + OF_A_STATE * GROUPS + 20 * 144 + HALF_A_DAY,
    ),
    "groups of errors by state": (
        lambda home: queries.error_groups(home, system(home), TWENTY_DAYS, states=RESOLVED),
        2 * HALF_A_DAY + GROUPS + OF_A_STATE * GROUPS + 1 + 20 * 144 + 3 * HALF_A_DAY,
    ),
    "the state of a group": (
        lambda home: queries.state_of(home, system(home), "v3:1"),
        1 + OF_A_STATE,
    ),
    "what has expired": (lambda home: list(_ended_before(home, ago(1))[:100]), 0),
    "a trend": (lambda home: count_by_day(home, MONTH), 0),
    "a breakdown of a day": (lambda home: break_down(home, DAY, RequestFilters()), A_DAY),
    "the day before": (
        lambda home: count_before(home, DAY, RequestFilters(reason="unknown_client")),
        3 * 144,  # to find where to begin, then the index and the rows
    ),
    "a breakdown of very many": (
        lambda home: break_down(home, MONTH_OF_REQUESTS, RequestFilters(), most=100),
        # to find where the newest 100 begin, in this window and the one before, then once a list
        2 * 101 + len(LISTS) * 100,
    ),
    "lines of a day": (lambda home: Folds.of(home, DAY, RequestFilters()).page(0, 50), A_DAY),
    "lines of very many": (
        lambda home: Folds.of(home, MONTH_OF_REQUESTS, RequestFilters(), most=100).page(0, 50),
        101 + 100,
    ),
    "a heatmap": (lambda home: count_by_hour_of_week(home, MONTH), 0),
}


@pytest.mark.slow
def test_hot_reads_stay_within_an_index_and_read_few_rows(filled: Organization) -> None:
    found = {}
    with organization_scope(filled):
        assert Execution.objects.count() == NUMBER
        for name, (read, _) in READS.items():
            found[name] = sum(rows_read(lambda read=read: read(filled)).values())

    assert {name: rows for name, rows in found.items() if rows > READS[name][1]} == {}
