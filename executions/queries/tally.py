"""Executions counted by status, person and agent: by rollups where they know, else row by row."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, FloatField, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Coalesce

from executions.filters import EVERYTHING, Filters
from executions.models import NOBODY, EndedChange, EndedCount, Execution, sees_all
from executions.queries.in_time import COLUMNS, Spans, rows_of
from executions.queries.listing import union, visible_parts
from organizations.actors import Actor
from organizations.models import Organization

ELAPSED = F("end_time") - F("start_time")
KEY = ("status", "user_id", "agent_name")
HAS_RUNTIME = Q(end_time__gt=F("start_time"))
MAX_VALUES = 1_000
"""Of the people and the agents, those with the most executions: names of agents may be as many as
executions.
"""
PROPERTIES = {
    "status": "status",
    "user": "person",
    "agent": "agent_name",
    "runtime": "runtime_bin",
}
"""Of the rollup, and the columns of the rows that it does not count."""
SINGLE = f"""status, coalesce(user_id, '{NOBODY}'), agent_name, runtime_bin,
    (end_time > start_time)::integer,
    CASE WHEN end_time > start_time THEN end_time - start_time END"""
"""One of these rows: its columns, 1 if it has a runtime, and its seconds."""


class Rest(NamedTuple):
    """What is beyond MAX_VALUES: the number of values, and of their executions."""

    values: int = 0
    executions: int = 0


NO_MORE = Rest()


@dataclass(frozen=True)
class Tally:
    by_status: Counter[str] = field(default_factory=Counter)
    by_user: Counter[UUID | None] = field(default_factory=Counter)
    """By the ExecutionUser's key."""
    more_users: Rest = NO_MORE
    by_agent: Counter[str] = field(default_factory=Counter)
    more_agents: Rest = NO_MORE
    by_bin: Counter[int] = field(default_factory=Counter)
    """Ended executions by the bin of their runtime; empty where they are counted row by row."""
    timed: int = 0
    """Executions with a runtime."""
    elapsed: float = 0
    """Their seconds, waiting included."""

    @property
    def total(self) -> int:
        return self.by_status.total()


def tally(
    organization: Organization,
    actor: Actor,
    filters: Filters,
    properties: Sequence[str] = tuple(PROPERTIES),
) -> Tally:
    """Count by each of the properties; `status` must be among them."""
    if spans := Spans.of(actor, filters):
        return _by_spans(organization, spans, filters, properties)
    return _by_combinations(organization, actor, filters)


def _by_spans(
    organization: Organization, spans: Spans, filters: Filters, properties: Sequence[str]
) -> Tally:
    counted, of_counted = spans.counted(organization, properties)
    others, of_others = rows_of(organization, SINGLE, spans.others(filters))
    columns = [PROPERTIES[name] for name in properties]
    whens = " ".join(f"WHEN grouping({PROPERTIES[name]}) = 0 THEN '{name}'" for name in properties)
    texts = ", ".join(f"{column}::text" for column in columns)
    statement = f"""
        WITH every (property, value, number, timed, elapsed) AS (
            SELECT property, value, sum(executions)::bigint,
                sum(timed) FILTER (WHERE property = 'status')::bigint,
                sum(elapsed) FILTER (WHERE property = 'status')::float8
            FROM ({counted}) AS counted ({", ".join(COLUMNS)}) GROUP BY 1, 2
            UNION ALL
            SELECT CASE {whens} END, coalesce({texts}), count(*),
                coalesce(sum(timed), 0), coalesce(sum(seconds), 0)
            FROM ({others}) AS others (status, person, agent_name, runtime_bin, timed, seconds)
            GROUP BY GROUPING SETS ({", ".join(f"({column})" for column in columns)})
        ), summed AS (
            SELECT property, value, sum(number)::bigint AS number, sum(timed)::bigint AS timed,
                sum(elapsed) AS elapsed, property NOT IN ('user', 'agent') OR row_number() OVER (
                    PARTITION BY property ORDER BY sum(number) DESC, value
                ) <= %s AS is_kept
            FROM every WHERE value IS NOT NULL GROUP BY 1, 2 HAVING sum(number) > 0
        )
        SELECT property, CASE WHEN is_kept THEN value END, sum(number)::bigint, sum(timed)::bigint,
            sum(elapsed), count(*)
        FROM summed GROUP BY 1, 2
    """  # noqa: S608 - Django's own statements
    found: dict[str, Counter[str]] = {name: Counter() for name in PROPERTIES}
    rest: dict[str, Rest] = {}
    timed, elapsed = 0, 0.0
    with connection.cursor() as cursor:
        cursor.execute(statement, (*of_counted, *of_others, MAX_VALUES))
        for name, value, number, with_runtime, seconds, values in cursor.fetchall():
            if value is None:
                rest[name] = Rest(values, number)
            else:
                found[name][value] = number
            if name == "status":
                timed, elapsed = timed + with_runtime, elapsed + seconds
    return Tally(
        found["status"],
        Counter({None if key == str(NOBODY) else UUID(key): n for key, n in found["user"].items()}),
        rest.get("user", NO_MORE),
        found["agent"],
        rest.get("agent", NO_MORE),
        Counter({int(key): number for key, number in found["runtime"].items()}),
        timed,
        elapsed,
    )


def _by_combinations(organization: Organization, actor: Actor, filters: Filters) -> Tally:
    """Count in one pass. PostgreSQL aggregates the combinations of the three, because there may be
    as many as executions.
    """
    sql, parameters = _combinations(organization, actor, filters).query.sql_with_params()
    statement = f"""
        WITH summed AS (
            SELECT grouping(status, person, agent_name) AS property, status, person, agent_name,
                sum(number)::bigint AS number, sum(timed)::bigint AS timed, sum(seconds) AS seconds,
                grouping(status, person, agent_name) NOT IN (5, 6) OR row_number() OVER (
                    PARTITION BY grouping(status, person, agent_name)
                    ORDER BY sum(number) DESC, person, agent_name
                ) <= %s AS is_kept
            FROM ({sql}) AS combinations (status, person, agent_name, number, timed, seconds)
            GROUP BY GROUPING SETS ((status), (person), (agent_name), ()) HAVING sum(number) > 0
        )
        SELECT property, is_kept, status, nullif(CASE WHEN is_kept THEN person END, '{NOBODY}'),
            CASE WHEN is_kept THEN agent_name END, sum(number)::bigint, sum(timed)::bigint,
            sum(seconds), count(*)
        FROM summed GROUP BY 1, 2, 3, 4, 5
    """  # noqa: S608 - Django's own statement
    found = Tally()
    more_users = more_agents = NO_MORE
    timed, elapsed = 0, 0.0
    with connection.cursor() as cursor:
        cursor.execute(statement, (MAX_VALUES, *parameters))
        for row in cursor.fetchall():
            grouping, is_kept, status, person, agent_name, number, *runtimes, values = row
            match grouping, is_kept:
                case 0b011, _:
                    found.by_status[status] = number
                case 0b101, True:
                    found.by_user[person] += number
                case 0b101, False:
                    more_users = Rest(values, number)
                case 0b110, True:
                    found.by_agent[agent_name] = number
                case 0b110, False:
                    more_agents = Rest(values, number)
                case _:
                    timed, elapsed = runtimes
    return replace(
        found, more_users=more_users, more_agents=more_agents, timed=timed, elapsed=elapsed
    )


def count(organization: Organization, actor: Actor, filters: Filters = EVERYTHING) -> int:
    """The number of executions."""
    if spans := Spans.of(actor, filters):
        return _by_spans(organization, spans, filters, ("status",)).total
    if not is_counted(actor, filters):
        parts = visible_parts(organization, actor, filters)
        return union(part.values_list("pk") for part in parts).count()
    sql, parameters = _combinations(organization, actor, filters).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(number), 0)::bigint "  # noqa: S608 - Django's own statement
            f"FROM ({sql}) AS combinations (status, person, agent_name, number, timed, seconds)",
            parameters,
        )
        return cursor.fetchone()[0]


def is_counted(actor: Actor, filters: Filters) -> bool:
    """Whether the rollup knows: it has neither times nor texts nor whose an execution is."""
    texts = (filters.agent_name, filters.search, filters.tag, filters.not_tag)
    people = (filters.user, filters.not_user)
    return sees_all(actor) and filters.window == (None, None) and not any(texts + people)


def _combinations(organization: Organization, actor: Actor, filters: Filters) -> QuerySet[Any]:
    """Rows of status, person, agent's name and three numbers; a combination may be repeated."""
    parts = visible_parts(organization, actor, filters)
    if not is_counted(actor, filters):
        return union(map(_row_by_row, parts))
    settled, changes = (
        table.objects.for_organization(organization)
        .filter(filters.conditions)
        .values_list(*KEY, "executions", "timed", Cast("elapsed", FloatField()))
        for table in (EndedCount, EndedChange)
    )
    live = (_row_by_row(part.filter(status__in=Execution.LIVE)) for part in parts)
    return union([settled, changes, *live])


def _row_by_row(rows: QuerySet[Execution]) -> QuerySet[Any]:
    person = Coalesce("user_id", Value(NOBODY))
    return rows.values_list("status", person, "agent_name").annotate(
        number=Count("*"),
        timed=Count("pk", filter=HAS_RUNTIME),
        seconds=Coalesce(Sum(ELAPSED, filter=HAS_RUNTIME), 0.0),
    )
