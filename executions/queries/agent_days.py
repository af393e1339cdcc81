"""What an agent ran on each day."""

from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, F, IntegerField, Sum, Value
from django.db.models.functions import Cast, Coalesce, Floor

from agents.models import Agent
from core.days import DAY, day_start
from executions.filters import Filters
from executions.models import Execution
from executions.queries.in_time import COLUMNS, Spans, rows_of
from executions.queries.in_time import DAY as SECONDS
from executions.queries.listing import visible_executions
from executions.queries.numbers import FAILED
from organizations.actors import Actor

FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class AgentDay:
    """The executions of an agent that started on a day (UTC)."""

    runs: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)
    """In US dollars, as far as reported."""

    def __add__(self, other: "AgentDay") -> "AgentDay":
        return AgentDay(self.runs + other.runs, self.failed + other.failed, self.cost + other.cost)


NOTHING = AgentDay()


def agent_days(agent: Agent, actor: Actor, since: date) -> dict[date, AgentDay]:
    """The agent's days from then on, as far as the actor may see its executions; days without any
    are omitted.
    """
    window = Filters(start=day_start(since, UTC).timestamp())
    spans = Spans.of(actor, window, SECONDS)
    rows = _by_rows(agent, actor, window) if spans is None else _by_spans(agent, spans, window)
    return {FIRST_DAY + place * DAY: AgentDay(*numbers) for place, *numbers in rows}


def _by_rows(agent: Agent, actor: Actor, window: Filters) -> list[tuple[Any, ...]]:
    """For a person who does not see all executions, of which no rollup knows."""
    filters = Filters(start=window.start, agent=agent.pk)
    own = visible_executions(agent.organization, actor, filters).order_by()
    place = Cast(Floor(F("start_time") / Value(SECONDS)), IntegerField())
    return list(
        own.annotate(place=place)
        .values_list("place")
        .annotate(
            runs=Count("id"),
            failures=Count("id", filter=FAILED),
            spent=Coalesce(Sum("cost"), Decimal(0)),
        )
    )


def _by_spans(agent: Agent, spans: Spans, window: Filters) -> list[tuple[Any, ...]]:
    organization = agent.organization
    counted, of_counted = spans.counted(organization, ["agent_id"], str(agent.pk))
    others, of_others = rows_of(
        organization,
        f"executions_place(start_time, {SECONDS}), 1, "
        f"(status = '{Execution.FAILED}')::integer, cost",
        [(f"agent_id = %s AND {sql}", (agent.pk, *each)) for sql, each in spans.others(window)],
    )
    statement = f"""
        SELECT place, sum(executions)::bigint, sum(failed)::bigint, coalesce(sum(cost), 0)
        FROM (
            SELECT place, executions, failed, cost
            FROM ({counted}) AS counted ({", ".join(COLUMNS)})
            UNION ALL {others}
        ) AS every
        GROUP BY place HAVING sum(executions) > 0
    """  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        cursor.execute(statement, (*of_counted, *of_others))
        return cursor.fetchall()
