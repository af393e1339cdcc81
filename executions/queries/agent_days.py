"""What agents ran: one on each day, or many in all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, IntegerField, Sum, Value
from django.db.models.functions import Cast, Coalesce, Floor

from agents.models import Agent
from core.days import DAY, FIRST_DAY, day_start
from executions.filters import Filters
from executions.models import Execution
from executions.queries.in_time import COLUMNS, Spans, rows_of
from executions.queries.in_time import DAY as SECONDS
from executions.queries.listing import visible_executions
from executions.queries.numbers import FAILED
from organizations.actors import Actor
from organizations.models import Organization


@dataclass(frozen=True)
class RunDay:
    """The executions that started on a day, or on several."""

    runs: int
    failed: int
    cost: Decimal
    """In US dollars, as far as reported."""


def agent_days(agent: Agent, actor: Actor, since: date) -> dict[date, RunDay]:
    """The agent's days (UTC) from then on, as far as the actor may see its executions; days without
    any are omitted.
    """
    window = Filters(start=day_start(since, UTC).timestamp())
    spans = Spans.of(actor, window, SECONDS)
    rows = _by_rows(agent, actor, window) if spans is None else _by_spans(agent, spans, window)
    return {FIRST_DAY + place * DAY: RunDay(*numbers) for place, *numbers in rows}


def _by_rows(agent: Agent, actor: Actor, window: Filters) -> list[tuple[Any, ...]]:
    """For a person who does not see all executions, of which no rollup knows."""
    filters = Filters(start=window.start, agent=(agent.pk,))
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
    """  # noqa: S608 - no user input
    with connection.cursor() as cursor:
        cursor.execute(statement, (*of_counted, *of_others))
        return cursor.fetchall()


def agent_totals(
    organization: Organization, actor: Actor, agents: Collection[UUID], days: Sequence[date]
) -> dict[UUID, RunDay] | None:
    """What these agents ran on these days (UTC), of which the last is today; agents without any
    runs are omitted. None if the actor does not see all executions, of which the rollup knows.
    """
    window = Filters(start=day_start(days[0], UTC).timestamp())
    spans = Spans.of(actor, window, SECONDS)
    if spans is None:
        return None
    values = [str(agent) for agent in agents]
    counted, of_counted = spans.counted(organization, ["agent_id"], among=values)
    others, of_others = rows_of(
        organization,
        f"agent_id::text, 1, (status = '{Execution.FAILED}')::integer, cost",
        [
            (f"agent_id = ANY (%s) AND {sql}", (list(agents), *each))
            for sql, each in spans.others(window)
        ],
    )
    # Each day is named: a range of days would read what all other agents ran on them.
    statement = f"""
        SELECT value::uuid, sum(executions)::bigint, sum(failed)::bigint, coalesce(sum(cost), 0)
        FROM (
            SELECT value, executions, failed, cost
            FROM ({counted}) AS counted ({", ".join(COLUMNS)})
            WHERE place = ANY (%s)
            UNION ALL {others}
        ) AS every
        GROUP BY value HAVING sum(executions) > 0
    """  # noqa: S608 - no user input
    places = [(day - FIRST_DAY).days for day in days]
    with connection.cursor() as cursor:
        cursor.execute(statement, (*of_counted, places, *of_others))
        return {agent: RunDay(*numbers) for agent, *numbers in cursor.fetchall()}
