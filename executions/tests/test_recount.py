"""The numbers of the dashboard equal a recount of random rows."""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from core.days import day_end, day_start
from core.ids import uuid7
from executions import queries
from executions.filters import EVERYTHING, Filters
from executions.models import Execution, ExecutionError, ExecutionUser, new_execution
from executions.tests.ended import add_up
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

START = 1_790_000_000.0
HOUR = 3600
DAY = 24 * HOUR
MIDNIGHT = START // DAY * DAY + 3 * DAY
EDGES = (MIDNIGHT, MIDNIGHT - 1e-6, MIDNIGHT + HOUR / 4, MIDNIGHT + DAY)
ZONES = ("UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia")
NAMES = ("Report", "report", "Übersicht", "100 %", "a_b", "")


@pytest.fixture(params=range(4))
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)  # noqa: S311 - the same rows every time


@pytest.fixture
def filled(
    chance: random.Random, organization: Organization, other_organization: Organization
) -> Organization:
    for each in (organization, other_organization):
        fill(each, chance)
    return organization


def fill(organization: Organization, chance: random.Random) -> None:
    """Create 80 executions with random statuses, times, users and errors, some without an end."""
    with organization_scope(organization):
        users = ExecutionUser.objects.bulk_create(
            ExecutionUser(organization=organization, external_id=uuid7(), name=f"user {number}")
            for number in range(4)
        )
        rows = []
        for _ in range(80):
            start = chance.choice([START, START + chance.uniform(0, 30 * DAY), *EDGES[:2]])
            # Clocks differ: some end before they started.
            lengths = [chance.expovariate(0.1), chance.uniform(0, 9 * DAY), -2 * HOUR]
            end = chance.choice([None, start, *(start + length for length in lengths), EDGES[3]])
            rows.append(
                new_execution(
                    organization,
                    user=chance.choice([None, *users]),
                    agent_name=chance.choice(NAMES),
                    status=chance.choice(Execution.Status.values),
                    start_time=start,
                    end_time=end,
                    waiting_seconds=max((end or start) - start, 0) * chance.random(),
                    cost=chance.choice([None, Decimal("0.25"), Decimal("0.00000001")]),
                )
            )
        Execution.objects.bulk_create(rows)
        ExecutionError.objects.bulk_create(
            ExecutionError(
                organization=organization,
                execution=chance.choice(rows),
                sequence=number,
                timestamp=chance.choice([START + chance.uniform(0, 30 * DAY), *EDGES]),
                message="no",
                fingerprint=f"v1:{chance.randrange(6)}",
            )
            for number in range(60)
        )


def some_filters(chance: random.Random) -> Iterator[Filters]:
    yield EVERYTHING
    for edge in (*EDGES, START + chance.uniform(0, 15 * DAY)):
        yield Filters(start=edge, is_recent=True)
        yield Filters(start=edge)
        yield Filters(end=edge)
        yield Filters(start=edge, end=edge + chance.choice([HOUR, DAY, 9.5 * DAY]))
    for _ in range(5):
        start = START + chance.uniform(0, 15 * DAY)
        yield Filters(
            start=chance.choice([None, start]),
            end=chance.choice([None, start + chance.uniform(1, 15 * DAY)]),
            status=chance.choice([(), ("running",), ("error", "awaiting")]),
            not_status=chance.choice([(), (), ("finished",)]),
            user=chance.choice([(), ("user 1",), ("unknown", "user 2")]),
            agent_name=chance.choice(["", "REPORT", "%"]),
        )


def recount(organization: Organization, filters: Filters) -> list[dict[str, Any]]:
    """The matching rows, filtered in Python from everything in the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.*, u.name AS user_name, u.external_id FROM executions_execution e "
            "LEFT JOIN executions_executionuser u ON u.id = e.user_id "
            "WHERE e.organization_id = %s",
            [organization.pk],
        )
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [
        row
        for row in rows
        if (filters.start is None or row["start_time"] >= filters.start or is_recent(row, filters))
        and (filters.end is None or row["start_time"] < filters.end)
        and (not filters.status or row["status"] in filters.status)
        and row["status"] not in filters.not_status
        and filters.agent_name.lower() in row["agent_name"].lower()
        and (not filters.user or (row["user_name"] or "unknown") in filters.user)
    ]


def is_recent(row: dict[str, Any], filters: Filters) -> bool:
    """Whether an execution that started before the window is in it all the same."""
    has_ended = row["status"] in Execution.FINAL
    ended_since = row["end_time"] is not None and row["end_time"] >= filters.start
    return filters.is_recent and (not has_ended or ended_since)


def quantile(values: list[float], share: float) -> float:
    """The quantile, interpolated between the two nearest values."""
    place = (len(values) - 1) * share
    low = values[int(place)]
    high = values[min(int(place) + 1, len(values) - 1)]
    return low + (high - low) * (place - int(place))


def test_statistics_equal_a_recount(chance: random.Random, filled: Organization) -> None:
    actor = Actor.for_system(filled, "test")
    with organization_scope(filled):
        for filters in some_filters(chance):
            rows = recount(filled, filters)
            ran = [row for row in rows if (row["end_time"] or 0) > row["start_time"]]
            elapsed = [row["end_time"] - row["start_time"] for row in ran]
            runtimes = sorted(
                row["end_time"] - row["start_time"] - row["waiting_seconds"] for row in ran
            )

            # One order of the adding up after another: the changes are part of the numbers.
            if chance.random() < 0.3:
                add_up(filled)
            found = queries.statistics(filled, actor, filters)

            assert found.total == queries.count(filled, actor, filters) == len(rows)
            assert found.by_status == Counter(row["status"] for row in rows)
            assert found.by_user == Counter(row["external_id"] for row in rows)
            assert found.by_agent == Counter(row["agent_name"] for row in rows)
            assert found.failed == sum(row["status"] == "error" for row in rows)
            if runtimes:
                assert found.avg_elapsed == pytest.approx(sum(elapsed) / len(elapsed))
                percentiles = (found.p50_runtime, found.p95_runtime, found.p99_runtime)
                assert percentiles == pytest.approx(
                    tuple(quantile(runtimes, share) for share in queries.PERCENTILES)
                )
            else:
                assert (found.avg_elapsed, found.p50_runtime) == (None, None)


def test_buckets_equal_a_recount(chance: random.Random, filled: Organization) -> None:
    actor = Actor.for_system(filled, "test")
    with organization_scope(filled):
        for filters in some_filters(chance):
            rows = recount(filled, filters.by_start())
            zone = ZoneInfo(chance.choice(ZONES))
            step = chance.choice(["", "day"])

            if chance.random() < 0.3:
                add_up(filled)
            found = queries.count_over_time(filled, actor, filters, zone=zone, step=step)

            assert found.step == step or not step
            for bucket in found.rows:
                first, last = bucket.start.timestamp(), bucket.end.timestamp()
                here = [row for row in rows if first <= row["start_time"] < last]
                assert bucket.by_status == Counter(row["status"] for row in here)
                assert bucket.failed == sum(row["status"] == "error" for row in here)
                assert bucket.cost == sum(row["cost"] or 0 for row in here)
                if step:
                    assert bucket.start == day_start(bucket.start.astimezone(zone).date(), zone)
                    assert bucket.end == day_end(bucket.start.astimezone(zone).date(), zone)
            assert sum(bucket.total for bucket in found.rows) == len(rows)


def test_groups_equal_a_recount(chance: random.Random, filled: Organization) -> None:
    actor = Actor.for_system(filled, "test")
    with organization_scope(filled):
        for filters in some_filters(chance):
            executions = recount(filled, Filters(**{**vars(filters), "start": None, "end": None}))
            by_key = {row["id"]: row for row in executions}
            ever = [
                row
                for row in ExecutionError.objects.filter(organization=filled)
                if row.execution_id in by_key
            ]
            rows = [
                row
                for row in ever
                if (filters.start is None or row.timestamp >= filters.start)
                and (filters.end is None or row.timestamp < filters.end)
            ]

            if chance.random() < 0.3:
                add_up(filled)
            zone = ZoneInfo(chance.choice(ZONES))
            found = queries.error_groups(filled, actor, filters, zone=zone)

            assert {group.fingerprint: group.count for group in found.rows} == Counter(
                row.fingerprint for row in rows
            )
            assert found.total == len(found.rows)
            assert queries.count_errors(filled, actor, filters) == len(rows)
            for group in found.rows:
                own = [row for row in rows if row.fingerprint == group.fingerprint]
                assert group.executions == len({row.execution_id for row in own})
                people = {by_key[row.execution_id]["user_id"] for row in own} - {None}
                assert group.users == len(people)
                assert group.last_seen == max(row.timestamp for row in own)
                assert group.first_seen == min(
                    row.timestamp for row in ever if row.fingerprint == group.fingerprint
                )
                names = {by_key[row.execution_id]["agent_name"] for row in own}
                assert sorted(group.agent_names) == sorted(names)
                assert sum(group.sparkline) == group.count
                starts = [start.timestamp() for start in found.starts]
                bars = Counter(max(bisect_right(starts, row.timestamp) - 1, 0) for row in own)
                assert list(group.sparkline) == [bars[place] for place in range(len(starts))]
                totals = queries.group_totals(filled, actor, filters, [group.fingerprint])
                assert totals == {group.fingerprint: (len(own), len(names))}
            by_agent = Counter(by_key[row.execution_id]["agent_name"] for row in rows)
            assert dict(queries.count_errors_by_agent(filled, actor, filters)) == by_agent


def test_a_member_is_counted_alone(chance: random.Random, filled: Organization) -> None:
    membership = make_membership(filled, "viewer")
    with organization_scope(filled):
        own = ExecutionUser.objects.get(name="user 2")
        own.user = membership.user
        own.save()

        found = queries.statistics(filled, Actor.for_person(membership))

        rows = recount(filled, Filters(user=("user 2",)))
        assert found.by_user == {own.external_id: len(rows)}
        assert found.by_status == Counter(row["status"] for row in rows)


def test_a_members_days_and_cost_equal_a_recount(
    chance: random.Random, filled: Organization
) -> None:
    membership = make_membership(filled, "viewer")
    with organization_scope(filled):
        own = ExecutionUser.objects.get(name="user 2")
        own.user = membership.user
        own.save()
        zone = ZoneInfo(chance.choice(ZONES))
        window = Filters(start=START, end=START + 40 * DAY)

        found = queries.count_over_time(
            filled, Actor.for_person(membership), window, zone=zone, step="day"
        )

        rows = recount(filled, Filters(**{**vars(window), "user": "user 2"}))
        assert sum(bucket.total for bucket in found.rows) == len(rows)
        for bucket in found.rows:
            first, last = bucket.start.timestamp(), bucket.end.timestamp()
            here = [row for row in rows if first <= row["start_time"] < last]
            assert bucket.cost == sum(row["cost"] or 0 for row in here)
            assert bucket.by_status == Counter(row["status"] for row in here)
