"""The counts of ended executions and of errors equal a recount, whatever happens to them in which
order, and writers do not wait for each other."""

from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.tests.factories import make_agent
from core.ids import uuid7
from executions import queries
from executions.filters import EVERYTHING, Filters
from executions.models import (
    NOBODY,
    EndedChange,
    EndedCount,
    EndedInTime,
    ErrorChange,
    ErrorCount,
    Execution,
    ExecutionError,
    new_execution,
)
from executions.rollups import ENDED, ERRORS, IN_TIME, ROLLUPS
from executions.tests.ended import add_up
from executions.tests.factories import FAILED, RUNNING, make_execution
from executions.tests.threads import at_once
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization

FILLS = [
    import_module(f"executions.migrations.{name}")
    for name in (
        *("0022_ended_before", "0028_bins_before", "0030_in_time_before"),
        "0036_errors_before",
    )
]
START = 1_790_000_000.0
VALUES = {
    "status": st.sampled_from(Execution.Status.values),
    "user_id": st.sampled_from([None, uuid7(), uuid7()]),
    "agent_name": st.sampled_from(["Report", "Screener", ""]),
    "agent_id": st.sampled_from([None, uuid7(), uuid7()]),
    "start_time": st.sampled_from([START, START + 0.1, START + 900, -1e15]),
    "end_time": st.sampled_from([None, START, START + 0.1, START + 1 / 3, START + 86400, 1e15]),
    "waiting_seconds": st.sampled_from([0.0, 0.05, 100.0]),
    "cost": st.sampled_from([None, Decimal("0.00000001"), Decimal(3)]),
}
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["insert", "update", "delete", "add up", "fail", "fail", "regroup", "delete errors"]
        ),
        st.integers(0, 4),
        st.fixed_dictionaries({}, optional=VALUES),
    ),
    max_size=30,
)


def add_up_all(organization: Organization) -> None:
    with organization_scope(organization):
        add_up(organization)


@pytest.mark.django_db
@given(changes=CHANGES)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
def test_whatever_happens_the_counts_equal_a_recount(
    organization: Organization, changes: list[tuple[str, int, dict[str, Any]]]
) -> None:
    known: list[Execution] = []
    with organization_scope(organization):
        for number, (what, which, values) in enumerate(changes):
            if what == "insert":
                known.append(new_execution(organization, **{"start_time": START} | values))
                known[-1].save(force_insert=True)
            elif what == "add up":
                add_up(organization)
            elif known:
                chosen = Execution.objects.filter(pk=known[which % len(known)].pk)
                chosen.update(**values) if what == "update" and values else None
                chosen.delete() if what == "delete" else None
                # Errors stay for a while when their execution is deleted.
                errors = ExecutionError.objects.filter(execution_id=known[which % len(known)].pk)
                if what == "fail" and chosen.exists():
                    fail(organization, chosen.get(), number, values.get("start_time", START))
                errors.update(fingerprint=f"v3:{which}") if what == "regroup" else None
                errors.delete() if what == "delete errors" else None

        assert [rollup.correct() for rollup in ROLLUPS] == [None] * 3
        Execution.objects.all().delete()
        add_up(organization)
        for table in (EndedCount, EndedInTime, EndedChange, ErrorCount, ErrorChange):
            assert not table.objects.exists()


def fail(organization: Organization, execution: Execution, number: int, at: float) -> None:
    """Two errors of a group, and one of another."""
    ExecutionError.objects.bulk_create(
        ExecutionError(
            organization=organization,
            execution=execution,
            sequence=3 * number + place,
            timestamp=at,
            fingerprint=f"v3:{place // 2}",
        )
        for place in range(3)
    )


COUNTED = [
    *(EVERYTHING, Filters(start=1), Filters(end=START * 2), Filters(start=1, is_recent=True)),
    *(Filters(status=("finished",)), Filters(name=("Report",)), Filters(agent=(uuid7(),))),
    *(Filters(status=("finished", "error")), Filters(not_status=("error",))),
    *(Filters(not_name=("Other",)), Filters(not_agent=(uuid7(),))),
]
NOT_COUNTED = [
    *(Filters(user=("unknown",)), Filters(agent_name="port")),
    *(Filters(not_user=("Ada",)), Filters(not_tag=("trial",))),
]


@pytest.mark.parametrize("filters", [*COUNTED, *NOT_COUNTED], ids=str)
def test_numbers_of_all_time_come_from_the_counts(
    organization: Organization, filters: Filters
) -> None:
    actor = Actor.for_system(organization, "test")
    agent = make_agent(organization, id=filters.agent[0]) if filters.agent else None
    make_execution(organization, agent_name="Report", agent=agent)
    with organization_scope(organization):
        for table in (EndedCount, EndedInTime, EndedChange):  # the last, or the others
            table.objects.update(executions=F("executions") + 1000)

        number = queries.count(organization, actor, filters)

        assert number == (1001 if filters in COUNTED else 1)
        assert queries.statistics(organization, actor, filters).total == number
        assert queries.totals(organization, actor).total == 1001


def test_numbers_of_errors_come_from_the_counts(organization: Organization) -> None:
    """But for the edges of a window, and for what the counts do not know."""
    actor = Actor.for_system(organization, "test")
    execution = make_execution(organization, agent_name="Report")
    with organization_scope(organization):
        fail(organization, execution, 0, START)
        for table in (ErrorCount, ErrorChange):
            table.objects.update(errors=F("errors") + 1000)
        day = START // 86400 * 86400
        windows = (
            *(EVERYTHING, Filters(start=1, is_recent=True), Filters(start=day, end=day + 86400)),
            *(Filters(start=START), Filters(end=START + 1), Filters(name=("Report",))),
        )

        found = [
            (
                queries.count_errors(organization, actor, filters),
                [each.count for each in queries.error_groups(organization, actor, filters).rows],
                queries.group_totals(organization, actor, filters, ["v3:1"]),
                queries.count_errors_by_agent(organization, actor, filters),
            )
            for filters in windows
        ]

    counted = (2003, [1002, 1001], {"v3:1": (1001, 1)}, [("Report", 2003)])
    assert found == [counted] * 3 + [(3, [2, 1], {"v3:1": (1, 1)}, [("Report", 3)])] * 3


@pytest.mark.parametrize("by", [7, -1])
def test_damage_in_time_is_corrected(organization: Organization, by: int) -> None:
    execution = make_execution(organization, FAILED)
    with organization_scope(organization):
        fail(organization, execution, 0, START)
        add_up(organization)
        EndedInTime.objects.filter(property="status").update(executions=F("executions") + by)
        EndedInTime.objects.filter(property="agent").delete()

        ErrorCount.objects.filter(property="all").update(errors=F("errors") + by)
        ErrorCount.objects.filter(property="agent").delete()

        found = IN_TIME.correct(), ERRORS.correct()

        tables = [(each.table, each.rows) for each in found if each]
        assert tables == [("executions_endedintime", 5 + 3), ("executions_errorcount", 4 + 4)]
        assert IN_TIME.correct() is ERRORS.correct() is None


@pytest.mark.parametrize("table", [EndedCount, EndedChange])
@pytest.mark.parametrize("by", [7, -1])
def test_damage_is_reported_and_corrected(
    organization: Organization, table: type[EndedCount | EndedChange], by: int
) -> None:
    make_execution(organization, FAILED)
    nobody = {"user_id": NOBODY, "agent_id": NOBODY, "agent_name": "Invented"}
    with organization_scope(organization):
        table.objects.create(
            organization=organization, status="error", **nobody, executions=by, timed=0, elapsed=0
        )

        found = ENDED.correct()

        assert found is not None
        assert (found.table, found.rows) == ("executions_endedcount", 1)
        assert f", Invented, {by}, 0, 0.000000000000; counted nothing" in found.examples[0]
        assert ENDED.correct() is None


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_counts_what_had_ended_before(owner: psycopg.Connection) -> None:
    organization, other_organization = make_organization(), make_organization()
    trigger = "TRIGGER executions_keep_runtime"
    for each in (organization, other_organization):
        execution = make_execution(each)
        with organization_scope(each):
            fail(each, execution, 0, START)
        make_execution(each, RUNNING)
        owner.execute(f"ALTER TABLE executions_execution DISABLE {trigger}")
        owner.commit()
        with organization_scope(each):
            Execution.objects.update(runtime_bin=None)
            for table in (EndedChange, EndedCount, EndedInTime, ErrorChange, ErrorCount):
                table.objects.all().delete()
        owner.execute(f"ALTER TABLE executions_execution ENABLE {trigger}")
        owner.commit()
    make_execution(organization, FAILED)

    for _ in range(2):
        for migration in FILLS:
            migration.fill(None, connection.schema_editor())

    for each, number in ((organization, 2), (other_organization, 1)):
        with organization_scope(each):
            assert [rollup.correct() for rollup in ROLLUPS] == [None] * 3
            assert EndedCount.objects.count() == number
            bins = EndedInTime.objects.filter(seconds=0, property="runtime")
            assert sum(bins.values_list("executions", flat=True)) == number


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_writers_at_once_are_all_counted_and_none_waits_for_another() -> None:
    organization = make_organization()
    runs = [
        [make_execution(organization, RUNNING, agent_name=name) for name in "ab" * 40]
        for _ in range(4)
    ]

    def ending(mine: list[Execution]) -> Callable[[], None]:
        def end() -> None:
            with organization_scope(organization):  # one transaction, both agents' counts
                for run in mine:
                    Execution.objects.filter(pk=run.pk).update(status="finished")

        return end

    def correct() -> None:
        for _ in range(10):
            with organization_scope(organization):
                assert ENDED.correct() is None

    results = at_once(
        *(ending(mine if n % 2 else mine[::-1]) for n, mine in enumerate(runs)), correct
    )

    assert results == [None] * 5
    with organization_scope(organization):
        assert ENDED.correct() is None
        add_up(organization)
        assert list(EndedCount.objects.order_by("agent_name").values_list("executions")) == [
            (160,),
            (160,),
        ]
