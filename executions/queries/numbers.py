"""Numbers about the executions that an actor may see."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import Aggregate, Avg, Count, F, FloatField, Max, Q, Subquery
from django.db.models.functions import Coalesce

from executions.filters import EVERYTHING, Filters
from executions.models import Execution, ExecutionUser
from executions.queries.listing import visible_executions
from organizations.actors import Actor
from organizations.models import Organization

PERCENTILES = (0.5, 0.95, 0.99)
FAILED = Q(status=Execution.FAILED)


def error_rate(failed: int, total: int) -> float:
    """The share of executions that failed, from 0 to 1; 0 when there are none."""
    return failed / total if total else 0.0


@dataclass(frozen=True)
class Totals:
    """Unfiltered totals, shown beside the filtered numbers."""

    total: int
    running: int
    failed: int

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


@dataclass(frozen=True)
class RecentActivity:
    """The current activity, and the executions that are live or have ended since a time."""

    total: int
    running: int
    awaiting: int
    failed: int
    newest: float | None
    """When the newest execution of all time started; None if there is none."""

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


@dataclass(frozen=True)
class Statistics:
    """Statistics as measures.py defines them; runtimes cover executions with more than one
    event.
    """

    total: int
    by_status: dict[str, int]
    by_user: dict[UUID | None, int]
    """By the id in responses, most first; None for executions that nobody launched."""
    user_map: dict[UUID, str]
    by_agent: dict[str, int]
    """By the agent's name, most first."""
    avg_elapsed: float | None
    """The average as in kodosumi, including the time spent waiting for answers."""
    p50_runtime: float | None
    p95_runtime: float | None
    p99_runtime: float | None

    @property
    def running(self) -> int:
        return self.by_status.get(Execution.Status.RUNNING, 0)

    @property
    def failed(self) -> int:
        return self.by_status.get(Execution.FAILED, 0)

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


class Percentiles(Aggregate):
    """Interpolated percentiles as an array in the order of PERCENTILES; None without rows."""

    template = f"percentile_cont(ARRAY{list(PERCENTILES)}) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


def _tally(rows: Any) -> tuple[Counter[str], Counter[UUID | None], Counter[str]]:
    """Count executions by status, by the user's key and by the agent's name, in one pass.

    PostgreSQL aggregates the combinations of the three, because there may be as many as executions.
    """
    combinations = rows.values("status", "user_id", "agent_name").annotate(number=Count("*"))
    sql, parameters = combinations.query.sql_with_params()
    tally = f"""
        SELECT grouping(status, user_id, agent_name), status, user_id, agent_name, sum(number)::int
        FROM ({sql}) AS combinations GROUP BY GROUPING SETS ((status), (user_id), (agent_name))
    """  # noqa: S608 - Django's own statement
    by_status, by_user, by_agent = Counter[str](), Counter[UUID | None](), Counter[str]()
    with connection.cursor() as cursor:
        cursor.execute(tally, parameters)
        for grouping, status, user, agent_name, number in cursor.fetchall():
            if grouping == 0b011:
                by_status[status] = number
            elif grouping == 0b101:
                by_user[user] = number
            else:
                by_agent[agent_name] = number
    return by_status, by_user, by_agent


ELAPSED = F("end_time") - F("start_time")
RUNTIME = ELAPSED - F("waiting_seconds")
HAS_RUNTIME = Q(end_time__gt=F("start_time"))


def totals(organization: Organization, actor: Actor) -> Totals:
    """The totals of all time, in one pass over the index and without sorting."""
    found = (
        visible_executions(organization, actor, EVERYTHING)
        .order_by()
        .aggregate(
            total=Count("*"),
            running=Count("id", filter=Q(status=Execution.Status.RUNNING)),
            failed=Count("id", filter=FAILED),
        )
    )
    return Totals(**found)


def recent_activity(organization: Organization, actor: Actor, since: float) -> RecentActivity:
    """The activity since then. One query reads live executions, ended ones and the newest."""
    visible = visible_executions(organization, actor, EVERYTHING).order_by("-start_time")
    ended = Q(status__in=Execution.FINAL, end_time__gte=since)
    newest = Subquery(visible.values("start_time")[:1])
    found = (
        visible.filter(ended | Q(status__in=Execution.LIVE))
        .order_by()
        .aggregate(
            total=Count("*"),
            running=Count("id", filter=Q(status=Execution.Status.RUNNING)),
            awaiting=Count("id", filter=Q(status=Execution.Status.AWAITING)),
            failed=Count("id", filter=FAILED),
            newest=Coalesce(newest, Max("start_time")),
        )
    )
    return RecentActivity(**found)


def live_by_status(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> Counter[str]:
    """The number of executions that are live now by status, whatever the window."""
    rows = visible_executions(organization, actor, filters.without_window()).order_by()
    counts = rows.filter(status__in=Execution.LIVE).values_list("status").annotate(Count("pk"))
    return Counter(dict(counts))


def statistics(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> Statistics:
    rows = visible_executions(organization, actor, filters).order_by()
    by_status, by_user, by_agent = _tally(rows)
    sums = rows.aggregate(
        average=Avg(ELAPSED, filter=HAS_RUNTIME),
        percentiles=Percentiles(RUNTIME, filter=HAS_RUNTIME),
    )
    p50, p95, p99 = sums["percentiles"] or [None] * len(PERCENTILES)
    people = {
        key: (external_id, name)
        for key, external_id, name in ExecutionUser.objects.for_organization(organization)
        .filter(pk__in=[key for key in by_user if key is not None])
        .values_list("pk", "external_id", "name")
    }
    return Statistics(
        total=by_status.total(),
        by_status=dict(by_status),
        by_user={
            None if key is None else people[key][0]: number for key, number in by_user.most_common()
        },
        user_map=dict(people.values()),
        by_agent=dict(by_agent.most_common()),
        avg_elapsed=sums["average"],
        p50_runtime=p50,
        p95_runtime=p95,
        p99_runtime=p99,
    )
