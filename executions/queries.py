"""The one layer of queries behind the dashboard's API, pages and CSV files.

`(organization, actor, filters)` in; every function sees what the actor may see, nothing more, and
runs inside the organization's scope. Lists are querysets, numbers are frozen dataclasses.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import (
    Aggregate,
    Avg,
    Count,
    F,
    FloatField,
    Func,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Left

from core.keyset import Keyset
from core.long_answers import ROWS_AT_ONCE, Piece, gather, in_pieces
from executions.filters import EVERYTHING, Filters
from executions.models import (
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionUser,
    now,
    sees_all,
)
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MAX_SPAN_IN_HOURS = 14 * DAY
MAX_SPAN_IN_DAYS = 400 * DAY
BATCH = 1000
MAX_TEXT_LENGTH = 100_000
"""Of an error in a list, in characters."""
BYTES_OF_MESSAGE = Func("message", function="octet_length", output_field=IntegerField())
"""Of an event: it is known without reading the message."""
PERCENTILES = (0.5, 0.95, 0.99)
FAILED = Q(status=Execution.Status.ERROR)


def error_rate(failed: int, total: int) -> float:
    """The share of the executions that failed, from 0 to 1; 0 without any."""
    return failed / total if total else 0.0


@dataclass(frozen=True)
class Bucket:
    """The executions that started from `start` until before `end`."""

    start: datetime
    end: datetime
    by_status: dict[str, int] = field(default_factory=dict)
    """Statuses without any are left out."""

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        return self.by_status.get(Execution.Status.ERROR, 0)


@dataclass(frozen=True)
class Buckets:
    """Buckets without a gap, oldest first, each an hour, a day or a month of the zone long."""

    step: str
    rows: tuple[Bucket, ...]


@dataclass(frozen=True)
class ErrorGroup:
    """Errors of one fingerprint, whichever agents they are of.

    Numbers are those of the window; `first_seen` is the first ever. Times are Unix seconds.
    """

    fingerprint: str
    error_type: str
    message: str
    """Of the newest one."""
    agent_names: tuple[str, ...]
    count: int
    executions: int
    users: int
    first_seen: float
    last_seen: float
    sparkline: tuple[int, ...]
    """Errors in each of the buckets, oldest first."""


@dataclass(frozen=True)
class ErrorGroups:
    """One page of the groups, the last seen first; `total` counts all. `starts` of the buckets."""

    total: int
    rows: tuple[ErrorGroup, ...]
    step: str
    starts: tuple[datetime, ...]


@dataclass(frozen=True)
class Totals:
    """What stands beside the filtered numbers."""

    total: int
    running: int
    failed: int

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


@dataclass(frozen=True)
class Lately:
    """What is going on: now, and of the executions that are live or ended since a time."""

    total: int
    running: int
    awaiting: int
    failed: int
    newest: float | None
    """When the newest of all time started; None: nothing ever ran."""

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


@dataclass(frozen=True)
class Statistics:
    """Measured as measures.py says, runtimes over executions with more than one event."""

    total: int
    by_status: dict[str, int]
    by_user: dict[UUID | None, int]
    """By the id that answers show; None: nobody launched them. The most first."""
    user_map: dict[UUID, str]
    by_agent: dict[str, int]
    """By the agent's name. The most first."""
    avg_elapsed: float | None
    """As kodosumi averages: with the time in which they awaited an answer."""
    p50_runtime: float | None
    p95_runtime: float | None
    p99_runtime: float | None

    @property
    def running(self) -> int:
        return self.by_status.get(Execution.Status.RUNNING, 0)

    @property
    def failed(self) -> int:
        return self.by_status.get(Execution.Status.ERROR, 0)

    @property
    def error_rate(self) -> float:
        return error_rate(self.failed, self.total)


def executions(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> QuerySet[Execution]:
    """Newest first, with their users, without what may be large."""
    return _executions(organization, actor, filters).without_content().select_related("user")


def count(organization: Organization, actor: Actor, filters: Filters = EVERYTHING) -> int:
    return _executions(organization, actor, filters).order_by().count()


def _executions(organization: Organization, actor: Actor, filters: Filters) -> Any:
    visible = Execution.objects.for_organization(organization).visible_to(actor)
    return filters.narrow(visible)


def errors(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> QuerySet[ExecutionError]:
    """Errors that were emitted in the window, newest first, with their executions and users."""
    return (
        _errors(organization, actor, filters)
        .select_related("execution__user")
        .defer(*(f"execution__{name}" for name in ("meta", *Execution.NOT_IN_LISTS)))
    )


def count_errors(organization: Organization, actor: Actor, filters: Filters = EVERYTHING) -> int:
    return _errors(organization, actor, filters).order_by().count()


def has_errors(organization: Organization, actor: Actor) -> bool:
    """Whether anything that the actor may see ever reported one."""
    return _errors(organization, actor, EVERYTHING).exists()


def _errors(organization: Organization, actor: Actor, filters: Filters) -> Any:
    rows = ExecutionError.objects.for_organization(organization)
    if filters.fingerprint:
        rows = rows.filter(fingerprint=filters.fingerprint)
    if filters.conditions or not sees_all(actor):
        visible = Execution.objects.for_organization(organization).visible_to(actor)
        rows = rows.filter(execution__in=visible.filter(filters.conditions).order_by())
    return filters.narrow_to_window(rows, "timestamp")


def with_texts(
    errors: QuerySet[ExecutionError], longest: int = MAX_TEXT_LENGTH
) -> QuerySet[ExecutionError]:
    """Each with `text`, the beginning of what its event said: for operators."""
    events = ExecutionEvent.objects.filter(
        organization_id=OuterRef("organization_id"),
        execution_id=OuterRef("execution_id"),
        sequence=OuterRef("sequence"),
    )
    return errors.annotate(text=Subquery(events.values(text=Left("message", longest))))


def in_batches(
    organization: Organization,
    rows: QuerySet[Any],
    keyset: Keyset,
    line: Callable[[Any], str],
) -> Iterator[str]:
    """The lines of every row of a list, for a file that is sent after the request's transaction has
    ended.

    Each piece enters the organization anew, and begins after the row that ended the one before.
    """

    def read(last: tuple[Any, ...] | None) -> Piece[tuple[Any, ...]]:
        following = keyset.after(rows, last) if last else keyset.in_order(rows)
        with organization_scope(organization):
            return gather(following[:BATCH].iterator(ROWS_AT_ONCE), line, keyset.key_of)

    return in_pieces(read)


def error_groups(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    choose: Callable[[QuerySet[Any]], list[dict[str, Any]]] = lambda groups: list(groups[:100]),
    until: float | None = None,
    zone: tzinfo = UTC,
) -> ErrorGroups:
    """The errors of the window by fingerprint, the last seen first: those groups that `choose`
    takes of all, and only errors that were known at `until`, in Unix seconds."""
    rows = _errors(organization, actor, filters).order_by()
    if until is not None:
        rows = rows.filter(created_at__lte=datetime.fromtimestamp(until, UTC))
    total = rows.aggregate(total=Count("fingerprint", distinct=True))["total"]
    groups = choose(
        rows.values("fingerprint")
        .annotate(
            count=Count("id"),
            executions=Count("execution_id", distinct=True),
            users=Count("execution__user_id", distinct=True),
            agent_names=ArrayAgg("execution__agent_name", distinct=True),
            last_seen=Max("timestamp"),
        )
        .order_by("-last_seen", "fingerprint")
    )
    chosen = rows.filter(fingerprint__in=[group["fingerprint"] for group in groups])
    newest = {
        row["fingerprint"]: row
        for row in chosen.order_by("fingerprint", "-timestamp", "-id")
        .distinct("fingerprint")
        .values("fingerprint", "error_type", "message")
    }
    ever = _errors(organization, actor, filters.without_window())
    first_seen = dict(
        ever.filter(fingerprint__in=list(newest))
        .order_by()
        .values_list("fingerprint")
        .annotate(Min("timestamp"))
    )
    step, starts, _ = _cut(chosen, "timestamp", filters, zone)
    sparklines: dict[str, list[int]] = defaultdict(lambda: [0] * len(starts))
    for fingerprint, place, number in (
        chosen.annotate(place=_place("timestamp", starts))
        .values_list("fingerprint", "place")
        .annotate(Count("id"))
    ):
        sparklines[fingerprint][max(place - 1, 0)] += number
    return ErrorGroups(
        total,
        tuple(
            ErrorGroup(
                **{**group, "agent_names": tuple(group["agent_names"])},
                error_type=newest[group["fingerprint"]]["error_type"],
                message=newest[group["fingerprint"]]["message"],
                first_seen=first_seen[group["fingerprint"]],
                sparkline=tuple(sparklines[group["fingerprint"]]),
            )
            for group in groups
        ),
        step,
        starts,
    )


def count_errors_by_agent(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING, *, limit: int = 20
) -> list[tuple[str, int]]:
    """The agents' names and how many errors each has, the most first."""
    rows = _errors(organization, actor, filters).order_by()
    counted = rows.values_list("execution__agent_name").annotate(number=Count("id"))
    return list(counted.order_by("-number", "execution__agent_name")[:limit])


def count_by_hour(
    organization: Organization,
    actor: Actor,
    filters: Filters = EVERYTHING,
    *,
    zone: tzinfo = UTC,
) -> Buckets:
    """The executions of the window by when they started.

    By the hour up to 14 days, else by the day, and by the month beyond 400 days. Without a window:
    from the first execution until now.
    """
    rows = _executions(organization, actor, filters.by_start()).order_by()
    step, starts, end = _cut(rows, "start_time", filters, zone)
    by_status: dict[int, Counter[str]] = defaultdict(Counter)
    for place, status, number in (
        rows.annotate(place=_place("start_time", starts))
        .values_list("place", "status")
        .annotate(Count("pk"))
    ):
        by_status[max(place - 1, 0)][status] += number
    ends = (*starts[1:], end)
    return Buckets(
        step,
        tuple(Bucket(starts[n], ends[n], dict(by_status[n])) for n in range(len(starts))),
    )


def _place(clock: str, starts: Collection[datetime]) -> Func:
    """The number of the bucket of a row, from 1; 0 before the first."""
    return Func(
        F(clock),
        Value([start.timestamp() for start in starts]),
        function="width_bucket",
        template="%(function)s(%(expressions)s::double precision[])",
        output_field=IntegerField(),
    )


def _cut(
    rows: Any, clock: str, filters: Filters, zone: tzinfo
) -> tuple[str, tuple[datetime, ...], datetime]:
    """The step, the starts of the buckets and the end of the last one."""
    current = now()
    known = rows.aggregate(first=Min(clock), last=Max(clock)) if None in filters.window else {}
    first, last = known.get("first"), known.get("last")
    start = filters.start if filters.start is not None else (current if first is None else first)
    end = filters.end if filters.end is not None else max(current, last or 0)
    # Clocks may be wrong by any amount: what lies outside is counted in the outermost bucket.
    start = min(max(start, 0.0), current)
    end = min(max(end, start + 1), current + 366 * DAY.total_seconds())
    begin, until = (datetime.fromtimestamp(each, UTC).astimezone(zone) for each in (start, end))
    step = _step(until - begin)
    starts, edge = [], _floor(begin, step)
    while edge.timestamp() < end:
        starts.append(edge.astimezone(UTC))
        edge = _following(edge, step)
    return step, tuple(starts), edge.astimezone(UTC)


def _step(length: timedelta) -> str:
    if length <= MAX_SPAN_IN_HOURS:
        return "hour"
    return "day" if length <= MAX_SPAN_IN_DAYS else "month"


def _floor(moment: datetime, step: str) -> datetime:
    """The beginning of the zone's hour, day or month that the moment lies in."""
    if step == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    moment = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return moment if step == "day" else moment.replace(day=1)


def _following(edge: datetime, step: str) -> datetime:
    """The beginning of the next hour, day or month; of an hour that the clocks repeat as well."""
    if step == "hour":
        later = (edge.astimezone(UTC) + HOUR).astimezone(edge.tzinfo)
        floor = _floor(later, step)
        # Lord Howe Island's clocks go back by half an hour: its beginning may be the edge again.
        return floor if floor.timestamp() > edge.timestamp() else later
    return _floor(edge + (DAY if step == "day" else 31 * DAY), step)


class Percentiles(Aggregate):
    """Interpolated, as an array in the order of PERCENTILES; None without a row."""

    template = f"percentile_cont(ARRAY{list(PERCENTILES)}) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


def _tally(rows: Any) -> tuple[Counter[str], Counter[UUID | None], Counter[str]]:
    """How many there are by status, by the user's key and by the agent's name, in one pass.

    PostgreSQL adds up the combinations of the three: there may be as many as executions.
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
    """Of all time, in one pass over the index and without sorting."""
    found = (
        _executions(organization, actor, EVERYTHING)
        .order_by()
        .aggregate(
            total=Count("*"),
            running=Count("id", filter=Q(status=Execution.Status.RUNNING)),
            failed=Count("id", filter=FAILED),
        )
    )
    return Totals(**found)


def lately(organization: Organization, actor: Actor, since: float) -> Lately:
    """In one query that reads only the live ones, those that ended since then, and the newest."""
    visible = _executions(organization, actor, EVERYTHING).order_by("-start_time")
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
    return Lately(**found)


def live_by_status(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> Counter[str]:
    """How many are live at this moment: that has nothing to do with a window."""
    rows = _executions(organization, actor, filters.without_window()).order_by()
    counts = rows.filter(status__in=Execution.LIVE).values_list("status").annotate(Count("pk"))
    return Counter(dict(counts))


def statistics(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> Statistics:
    rows = _executions(organization, actor, filters).order_by()
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
