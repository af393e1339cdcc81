"""Numbers about the executions that an actor may see."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q

from executions.filters import EVERYTHING, Filters
from executions.models import Execution, ExecutionUser
from executions.queries.listing import visible_executions
from executions.queries.percentiles import percentiles
from executions.queries.tally import Rest, tally
from organizations.actors import Actor
from organizations.models import Organization

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
    """By the id in responses, most first; None for executions that nobody launched. The MAX_VALUES
    with the most; `more_users` are the others, and so it is with agents.
    """
    more_users: Rest
    user_map: dict[UUID, str]
    by_agent: dict[str, int]
    """By the agent's name, most first."""
    more_agents: Rest
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


def totals(organization: Organization, actor: Actor) -> Totals:
    """The totals of all time."""
    counted = tally(organization, actor, EVERYTHING, ("status",))
    return Totals(
        total=counted.total,
        running=counted.by_status[Execution.Status.RUNNING],
        failed=counted.by_status[Execution.FAILED],
    )


def recent_activity(organization: Organization, actor: Actor, since: float) -> RecentActivity:
    """The activity since then."""
    counted = tally(organization, actor, Filters(start=since, is_recent=True), ("status",))
    starts = visible_executions(organization, actor, EVERYTHING).order_by("-start_time")
    return RecentActivity(
        total=counted.total,
        running=counted.by_status[Execution.Status.RUNNING],
        awaiting=counted.by_status[Execution.Status.AWAITING],
        failed=counted.by_status[Execution.FAILED],
        newest=starts.values_list("start_time", flat=True).first(),
    )


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
    counted = tally(organization, actor, filters)
    p50, p95, p99 = percentiles(organization, actor, filters, counted) or (None, None, None)
    people = {
        key: (external_id, name)
        for key, external_id, name in ExecutionUser.objects.for_organization(organization)
        .filter(pk__in=[key for key in counted.by_user if key is not None])
        .values_list("pk", "external_id", "name")
    }
    return Statistics(
        total=counted.total,
        by_status=dict(counted.by_status),
        by_user={
            None if key is None else people[key][0]: number
            for key, number in counted.by_user.most_common()
        },
        more_users=counted.more_users,
        user_map=dict(people.values()),
        by_agent=dict(counted.by_agent.most_common()),
        more_agents=counted.more_agents,
        avg_elapsed=counted.elapsed / counted.timed if counted.timed else None,
        p50_runtime=p50,
        p95_runtime=p95,
        p99_runtime=p99,
    )
