"""Every number of the dashboard, checked against executions that can be counted by hand."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from agents.tests.factories import make_agent
from executions import queries
from executions.event_log import NewEvent
from executions.filters import EVERYTHING, Filters
from executions.models import Execution, ExecutionError, now
from executions.queries import tally
from executions.queries.error_counts import MAX_NAMES
from executions.tests.factories import (
    FAILED,
    RUNNING,
    make_execution,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

ADA = UUID("620c87bd-555c-49e6-9cf1-8dc23f6a72b2")
TRACE = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\nValueError: no {} left'


def system(organization: Organization) -> Actor:
    return Actor.for_system(organization, "test")


def failing(seconds_ago: float, number: int = 1) -> dict[str, Any]:
    start = now() - seconds_ago
    events = [NewEvent(start + 1, "error", TRACE.format(number))]
    return {"statuses": FAILED, "start": start, "events": events}


@pytest.fixture
def northwind(organization: Organization) -> Organization:
    """An organization with four executions: two of Ada's, one of a member's, one without a user."""
    ada = make_outside_user(organization, "Ada Lovelace", ADA)
    member = make_user_of(make_membership(organization, "viewer"))
    agent = make_agent(organization)
    weekly = tagged("meta", now() - 90_000, tags=["weekly"])
    make_execution(
        organization, user=ada, agent_name="Weekly Report", start=weekly.timestamp, events=[weekly]
    )
    make_execution(organization, user=ada, agent_name="Screener", **failing(7200))
    make_execution(organization, RUNNING, user=member, agent_name="Screener", start=now() - 60)
    make_execution(organization, agent=agent, agent_name="Übersicht", **failing(30, number=2))
    return organization


def names(organization: Organization, filters: Filters, actor: Actor | None = None) -> list[str]:
    with organization_scope(organization):
        rows = queries.executions(organization, actor or system(organization), filters)
        assert queries.count(organization, actor or system(organization), filters) == len(rows)
        return [row.agent_name for row in rows]


@pytest.mark.parametrize("filters", [EVERYTHING, Filters(search="finished")])
def test_of_very_many_agents_and_people_the_largest_are_named(
    organization: Organization, filters: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by rollups, and row by row."""
    monkeypatch.setattr(tally, "MAX_VALUES", 2)
    for number in range(1, 6):
        user = make_outside_user(organization, f"User {number}", UUID(int=number))
        for _ in range(number):
            make_execution(organization, agent_name=f"Agent {number}", user=user)

    with organization_scope(organization):
        found = queries.statistics(organization, system(organization), filters)

    assert (found.total, found.by_status) == (15, {"finished": 15})
    assert found.by_agent == {"Agent 5": 5, "Agent 4": 4}
    assert found.by_user == {UUID(int=5): 5, UUID(int=4): 4}
    assert found.more_agents == found.more_users == queries.Rest(values=3, executions=6)


@pytest.mark.parametrize("filters", [EVERYTHING, Filters(status=("error",))])
def test_of_an_error_of_very_many_agents_the_first_are_named(
    organization: Organization, filters: Filters
) -> None:
    """Counted by rollups, and row by row."""
    for number in range(MAX_NAMES + 5):
        make_execution(organization, agent_name=f"Agent {number:03}", **failing(60))

    with organization_scope(organization):
        [group] = queries.error_groups(organization, system(organization), filters).rows

    assert group.count == group.agents == MAX_NAMES + 5
    assert group.agent_names == tuple(f"Agent {number:03}" for number in range(MAX_NAMES))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (EVERYTHING, ["Übersicht", "Screener", "Screener", "Weekly Report"]),
        (Filters(agent_name="screen"), ["Screener", "Screener"]),
        (Filters(agent_name="übers"), ["Übersicht"]),
        (Filters(agent_name="%"), []),
        (Filters(user=(str(ADA),)), ["Screener", "Weekly Report"]),
        (Filters(user=(ADA.hex,)), ["Screener", "Weekly Report"]),
        (Filters(user=("ada lovelace",)), ["Screener", "Weekly Report"]),
        (Filters(user=("Ada",)), []),
        (Filters(user=("unknown",)), ["Übersicht"]),
        (Filters(status=("running",)), ["Screener"]),
        (Filters(search="620C87BD-555c"), ["Screener", "Weekly Report"]),
        (Filters(search="LOVE"), ["Screener", "Weekly Report"]),
        (Filters(search="no 2 left"), ["Übersicht"]),
        (Filters(search="finis"), ["Weekly Report"]),
        (Filters(search="report", user=("Ada Lovelace",)), ["Weekly Report"]),
        (Filters(status=("running", "finished")), ["Screener", "Weekly Report"]),
        (
            Filters(name=("Screener", "Übersicht"), not_status=("running",)),
            ["Übersicht", "Screener"],
        ),
        (Filters(not_name=("Screener",)), ["Übersicht", "Weekly Report"]),
        (Filters(user=("unknown", ADA.hex)), ["Übersicht", "Screener", "Weekly Report"]),
        (Filters(not_user=("ada lovelace",)), ["Übersicht", "Screener"]),
        (Filters(not_user=("unknown", ADA.hex)), ["Screener"]),
        (Filters(not_agent=(UUID(int=1),)), ["Übersicht", "Screener", "Screener", "Weekly Report"]),
        (Filters(status=("error",), not_status=("error",)), []),
        (Filters(tag=("weekly", "daily")), ["Weekly Report"]),
        (Filters(not_tag=("WEEKLY",)), ["Übersicht", "Screener", "Screener"]),
    ],
)
def test_filters_narrow(northwind: Organization, filters: Filters, found: list[str]) -> None:
    assert names(northwind, filters) == found


def test_the_window_is_about_the_start_and_leaves_out_its_end(organization: Organization) -> None:
    for second in (10.0, 20.0, 30.0):
        make_execution(organization, start=second, agent_name=str(second))

    assert names(organization, Filters(start=10.0, end=30.0)) == ["20.0", "10.0"]


def test_search_finds_the_id(northwind: Organization) -> None:
    with organization_scope(northwind):
        execution = Execution.objects.get(agent_name="Weekly Report")

    assert names(northwind, Filters(search=execution.fid.upper())) == ["Weekly Report"]


def test_an_agent_narrows_and_sees_its_own(northwind: Organization) -> None:
    with organization_scope(northwind):
        agent = Execution.objects.get(agent_name="Übersicht").agent
    actor = Actor("agent", agent.pk, "agent", northwind)

    assert names(northwind, Filters(agent=(agent.pk,))) == ["Übersicht"]
    others = ["Screener", "Screener", "Weekly Report"]
    assert names(northwind, Filters(not_agent=(agent.pk,))) == others
    assert names(northwind, EVERYTHING, actor) == ["Übersicht"]


def test_a_member_sees_and_counts_their_own_only(northwind: Organization) -> None:
    membership = make_membership(northwind, "viewer")
    make_execution(
        northwind, user=make_user_of(membership), agent_name="Own", **failing(100, number=3)
    )
    actor = Actor.for_person(membership)

    with organization_scope(northwind):
        assert [row.agent_name for row in queries.executions(northwind, actor)] == ["Own"]
        assert [row.message for row in queries.errors(northwind, actor)] == [
            "ValueError: no 3 left"
        ]
        assert queries.count_errors(northwind, actor) == 1
        groups = queries.error_groups(northwind, actor)
        assert [(group.count, group.agent_names) for group in groups.rows] == [(1, ("Own",))]
        statistics = queries.statistics(northwind, actor)
        assert (statistics.total, statistics.by_agent) == (1, {"Own": 1})
        buckets = queries.count_over_time(northwind, actor)
        assert sum(bucket.total for bucket in buckets.rows) == 1


def test_errors_come_with_their_execution_in_one_query(
    northwind: Organization, django_assert_num_queries: Any
) -> None:
    with organization_scope(northwind), django_assert_num_queries(1):
        found = [
            (row.message, row.execution.agent_name, getattr(row.execution.user, "name", None))
            for row in queries.errors(northwind, system(northwind))
        ]

    assert found == [
        ("ValueError: no 2 left", "Übersicht", None),
        ("ValueError: no 1 left", "Screener", "Ada Lovelace"),
    ]


def test_errors_are_narrowed_by_when_they_happened_and_by_their_execution(
    northwind: Organization,
) -> None:
    actor = system(northwind)

    with organization_scope(northwind):
        recent = queries.errors(northwind, actor, Filters(start=now() - 3600))
        adas = queries.errors(northwind, actor, Filters(user=("Ada Lovelace",)))

        assert [row.execution.agent_name for row in recent] == ["Übersicht"]
        assert [row.execution.agent_name for row in adas] == ["Screener"]


def test_errors_with_the_same_words_are_one_group_of_all_their_agents(
    organization: Organization,
) -> None:
    ada = make_outside_user(organization, "Ada", ADA)
    for seconds_ago, number in ((200_000, 1), (7200, 2), (3600, 3)):
        make_execution(organization, agent_name="A", user=ada, **failing(seconds_ago, number))
    make_execution(organization, agent_name="B", **failing(7300, 9))
    lost = NewEvent(now() - 100_000, "error", "Connection lost")
    make_execution(organization, FAILED, start=lost.timestamp, events=[lost], agent_name="C")

    with organization_scope(organization):
        actor, window = system(organization), Filters(start=now() - 86_400)
        recent = queries.error_groups(organization, actor, window)
        ever = queries.error_groups(
            organization, actor, choose=lambda groups, total: list(groups[1:2])
        )
        largest = [
            queries.error_groups(organization, actor, within, order="largest", limit=1).rows
            for within in (EVERYTHING, Filters(end=now()), Filters(agent_name="A"))
        ]
        agents = queries.count_errors_by_agent(organization, actor, window)
        first = queries.errors(organization, actor).order_by("timestamp")[0].timestamp

    (group,) = recent.rows
    assert (recent.total, group.count, group.executions, group.users) == (1, 3, 3, 1)
    assert (group.error_type, group.message) == ("ValueError", "ValueError: no 3 left")
    assert group.agent_names == ("A", "B")
    assert agents == [("A", 2), ("B", 1)]
    assert group.first_seen == first
    assert now() - group.last_seen < 3700
    assert (recent.step, len(recent.starts)) == ("hour", 25)
    assert sum(group.sparkline) == 3
    assert len(group.sparkline) == 25
    assert ever.total == 2
    assert [row.agent_names for row in ever.rows] == [("C",)]
    assert [[(row.message, row.count) for row in rows] for rows in largest] == [
        [("ValueError: no 3 left", 4)],
        [("ValueError: no 3 left", 4)],
        [("ValueError: no 3 left", 3)],
    ]


@pytest.mark.parametrize(
    ("filters", "counted"),
    [(EVERYTHING, [(0, 0)]), (Filters(agent_name="e"), [])],
    ids=["by a rollup", "row by row"],
)
def test_a_group_that_is_deleted_while_it_is_counted_is_no_error(
    northwind: Organization, filters: Filters, counted: list[tuple[int, int]]
) -> None:
    def choose(groups: Any, total: int) -> list[Any]:
        found = list(groups)
        ExecutionError.objects.all().delete()  # as by another transaction between two statements
        return found

    with organization_scope(northwind):
        found = queries.error_groups(northwind, system(northwind), filters, choose=choose)

    assert [(group.executions, sum(group.sparkline)) for group in found.rows] == counted


def test_statistics(northwind: Organization) -> None:
    make_execution(northwind, (), start=now(), agent_name="Weekly Report")

    with organization_scope(northwind):
        found = queries.statistics(northwind, system(northwind))
        member = Execution.objects.get(status="running").user

    assert found.total == 5
    assert found.by_status == {"finished": 1, "error": 2, "running": 1, "queued": 1}
    assert found.by_user == {ADA: 2, None: 2, member.external_id: 1}
    assert found.user_map == {ADA: "Ada Lovelace", member.external_id: member.name}
    assert found.by_agent == {"Screener": 2, "Weekly Report": 2, "Übersicht": 1}
    assert list(found.by_agent)[-1] == "Übersicht"
    assert found.running == 1
    assert found.error_rate == 0.4
    assert found.avg_elapsed == pytest.approx((2 + 2 + 0.5 + 2) / 4)
    assert found.p50_runtime == pytest.approx(2)


def test_statistics_of_nothing(organization: Organization) -> None:
    with organization_scope(organization):
        found = queries.statistics(organization, system(organization))

    assert (found.total, found.by_status, found.error_rate, found.running) == (0, {}, 0, 0)
    assert (found.avg_elapsed, found.p50_runtime, found.p99_runtime) == (None, None, None)


def moment(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def buckets(
    organization: Organization, filters: Filters = EVERYTHING, zone: str = "UTC"
) -> queries.Buckets:
    with organization_scope(organization):
        return queries.count_over_time(
            organization, system(organization), filters, zone=ZoneInfo(zone)
        )


def test_hours_have_no_gap(organization: Organization) -> None:
    for text in ("2026-03-01T10:00", "2026-03-01T10:59:59", "2026-03-01T13:00"):
        make_execution(organization, start=moment(text))
    failed = moment("2026-03-01T13:30")
    events = [NewEvent(failed, "error", "no")]
    make_execution(organization, FAILED, start=failed, events=events)
    window = Filters(start=moment("2026-03-01T09:30"), end=moment("2026-03-01T14:00"))

    found = buckets(organization, window)

    assert found.step == "hour"
    assert [(row.start.hour, row.by_status, row.failed) for row in found.rows] == [
        (9, {}, 0),
        (10, {"finished": 2}, 0),
        (11, {}, 0),
        (12, {}, 0),
        (13, {"finished": 1, "error": 1}, 1),
    ]
    assert found.rows[-1].end == datetime(2026, 3, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "first", "last", "step", "number"),
    [
        ("UTC", "2026-03-01", "2026-03-15", "hour", 14 * 24),
        ("UTC", "2026-03-01", "2026-03-16", "day", 15),
        ("Europe/Berlin", "2026-03-28", "2026-03-30", "hour", 47),
        ("Europe/Berlin", "2025-10-25", "2025-10-27", "hour", 49),
        ("Europe/Berlin", "2026-03-20", "2026-04-10", "day", 21),
        ("Asia/Kolkata", "2026-03-01", "2026-03-02", "hour", 24),
        ("Australia/Lord_Howe", "2026-04-04", "2026-04-06", "hour", 49),
        ("Africa/Cairo", "2025-04-20", "2025-05-10", "day", 20),
        ("UTC", "2020-01-01", "2026-01-01", "month", 72),
    ],
)
def test_buckets_are_those_of_the_zone(
    organization: Organization, zone: str, first: str, last: str, step: str, number: int
) -> None:
    window = Filters(start=moment(first, zone), end=moment(last, zone))

    found = buckets(organization, window, zone)

    assert (found.step, len(found.rows)) == (step, number)
    assert [row.end for row in found.rows[:-1]] == [row.start for row in found.rows[1:]]
    assert found.rows[0].start.timestamp() == window.start
    assert found.rows[-1].end.timestamp() == window.end


def test_without_a_window_buckets_begin_with_the_first_execution(
    organization: Organization,
) -> None:
    assert len(buckets(organization).rows) == 1
    make_execution(organization, start=now() - 2 * 86_400)

    found = buckets(organization)

    assert found.rows[0].by_status == {"finished": 1}
    assert len(found.rows) == 49


@pytest.mark.parametrize("start", [-1e300, -1e12, 0.0, 1e12, 1e300])
def test_a_clock_that_is_wrong_by_any_amount_loses_no_execution(
    organization: Organization, start: float
) -> None:
    make_execution(organization, start=start)
    make_execution(organization, start=now())

    found = buckets(organization)

    assert sum(row.total for row in found.rows) == 2
    assert len(found.rows) < 1000


def test_totals_are_the_statistics_of_everything(northwind: Organization) -> None:
    actor = system(northwind)

    with organization_scope(northwind):
        found, whole = queries.totals(northwind, actor), queries.statistics(northwind, actor)

    assert (found.total, found.running, found.failed) == (4, 1, 2)
    assert found.error_rate == whole.error_rate
