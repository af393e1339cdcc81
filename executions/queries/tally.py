"""Executions counted by status, person and agent: by the rollup where it knows, else row by row."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, FloatField, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Coalesce

from executions.filters import EVERYTHING, Filters
from executions.models import NOBODY, EndedChange, EndedCount, Execution, sees_all
from executions.queries.listing import union, visible_parts
from organizations.actors import Actor
from organizations.models import Organization

ELAPSED = F("end_time") - F("start_time")
KEY = ("status", "user_id", "agent_name")
HAS_RUNTIME = Q(end_time__gt=F("start_time"))


@dataclass(frozen=True)
class Tally:
    by_status: Counter[str] = field(default_factory=Counter)
    by_user: Counter[UUID | None] = field(default_factory=Counter)
    """By the ExecutionUser's key."""
    by_agent: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    """Executions with a runtime."""
    elapsed: float = 0
    """Their seconds, waiting included."""

    @property
    def total(self) -> int:
        return self.by_status.total()


def tally(organization: Organization, actor: Actor, filters: Filters) -> Tally:
    """Count in one pass. PostgreSQL aggregates the combinations of the three, because there may be
    as many as executions.
    """
    sql, parameters = _combinations(organization, actor, filters).query.sql_with_params()
    statement = f"""
        SELECT grouping(status, person, agent_name), status, nullif(person, '{NOBODY}'), agent_name,
            sum(number)::bigint, sum(timed)::bigint, sum(seconds)
        FROM ({sql}) AS combinations (status, person, agent_name, number, timed, seconds)
        GROUP BY GROUPING SETS ((status), (person), (agent_name), ())
        HAVING sum(number) > 0
    """  # noqa: S608 - Django's own statement
    found = Tally()
    timed, elapsed = 0, 0.0
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        for grouping, status, person, agent_name, number, *runtimes in cursor.fetchall():
            match grouping:
                case 0b011:
                    found.by_status[status] = number
                case 0b101:
                    found.by_user[person] += number
                case 0b110:
                    found.by_agent[agent_name] = number
                case _:
                    timed, elapsed = runtimes
    return Tally(found.by_status, found.by_user, found.by_agent, timed, elapsed)


def count(organization: Organization, actor: Actor, filters: Filters = EVERYTHING) -> int:
    """The number of executions."""
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
    others = (filters.agent_name, filters.user, filters.search, filters.tag)
    return sees_all(actor) and filters.window == (None, None) and not any(others)


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
