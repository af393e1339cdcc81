"""Errors of a window, counted by a rollup for the whole days (UTC) in its middle.

Before and after them the window has edges, of which the rows are read. The rollup does not know the
numbers within other filters, or of somebody who sees only their own: these are counted row by row.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count

from executions.filters import EVERYTHING, Filters
from executions.models import NOBODY
from executions.queries.in_time import DAY, Spans, Statement, limits
from executions.queries.listing import visible_errors
from organizations.actors import Actor
from organizations.models import Organization

SPANS = "CROSS JOIN LATERAL executions_error_spans({}) AS span"
OF_CHANGE = SPANS.format("day, user_id, agent_name")
OF_ERROR = SPANS.format(
    f"executions_place(timestamp, {DAY}), coalesce(user_id, '{NOBODY}'), agent_name"
)


MAX_NAMES = 100
"""Of the agents of a group: there may be as many as errors."""


class GroupCount(NamedTuple):
    """How often the errors of a group occurred in a window, and the key of the newest one."""

    fingerprint: str
    errors: int
    users: int
    agents: int
    agent_names: list[str]
    """Of MAX_NAMES agents at most."""
    newest: UUID


class GroupTotal(NamedTuple):
    """The errors of a group in a window, whichever agent reported them, and of how many agents."""

    errors: int
    agents: int


def count_errors(organization: Organization, actor: Actor, filters: Filters = EVERYTHING) -> int:
    spans = Spans.of(actor, filters)
    if spans is None:
        return visible_errors(organization, actor, filters).order_by().count()
    counted, parameters = _counted(organization, spans, filters, ["all"])
    statement = f"SELECT coalesce(sum(errors), 0)::bigint FROM ({counted}) AS counted"  # noqa: S608
    ((number,),) = _fetch((statement, parameters))
    return number


def count_errors_by_agent(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING, *, limit: int = 20
) -> list[tuple[str, int]]:
    """The names of the agents with the most errors and their counts, highest first."""
    spans = Spans.of(actor, filters)
    if spans is None:
        rows = visible_errors(organization, actor, filters).order_by()
        numbers = rows.values_list("execution__agent_name").annotate(number=Count("id"))
        return list(numbers.order_by("-number", "execution__agent_name")[:limit])
    counted, parameters = _counted(organization, spans, filters, ["agent"])
    statement = f"""
        SELECT value, sum(errors)::bigint FROM ({counted}) AS counted
        GROUP BY value HAVING sum(errors) > 0 ORDER BY 2 DESC, 1 LIMIT %s
    """  # noqa: S608 - no user input
    return _fetch((statement, (*parameters, limit)))


def group_totals(
    organization: Organization, actor: Actor, filters: Filters, fingerprints: Collection[str]
) -> dict[str, GroupTotal]:
    """The totals of these groups by fingerprint."""
    spans = Spans.of(actor, filters)
    if spans is None:
        rows = visible_errors(organization, actor, filters).order_by()
        alike = rows.filter(fingerprint__in=fingerprints).values_list("fingerprint")
        totals = alike.annotate(Count("id"), Count("execution__agent_name", distinct=True))
        return {fingerprint: GroupTotal(*numbers) for fingerprint, *numbers in totals}
    counted, parameters = _counted(organization, spans, filters, ["agent"])
    statement = f"""
        SELECT fingerprint, sum(errors)::bigint, count(*) FROM (
            SELECT fingerprint, value, sum(errors) AS errors FROM ({counted}) AS counted
            WHERE fingerprint = ANY (%s) GROUP BY 1, 2 HAVING sum(errors) > 0
        ) AS by_agent GROUP BY 1
    """  # noqa: S608 - no user input
    found = _fetch((statement, (*parameters, list(fingerprints))))
    return {fingerprint: GroupTotal(*numbers) for fingerprint, *numbers in found}


def count_groups(organization: Organization, spans: Spans, filters: Filters) -> list[GroupCount]:
    """All groups of the window."""
    counted, parameters = _counted(organization, spans, filters, ["all", "user", "agent"])
    window, of_window = limits("timestamp", filters.start, filters.end)
    statement = f"""
        WITH counted AS (
            SELECT property, fingerprint, value, sum(errors) AS errors
            FROM ({counted}) AS every GROUP BY 1, 2, 3 HAVING sum(errors) > 0
        ), groups AS (
            SELECT fingerprint, (sum(errors) FILTER (WHERE property = 'all'))::bigint AS errors,
                count(*) FILTER (WHERE property = 'user' AND value <> '{NOBODY}') AS users,
                count(*) FILTER (WHERE property = 'agent') AS agents,
                (array_agg(value ORDER BY value) FILTER (WHERE property = 'agent'))[:{MAX_NAMES}]
                    AS agent_names
            FROM counted GROUP BY fingerprint
        )
        SELECT groups.*, newest.id FROM groups CROSS JOIN LATERAL (
            SELECT id FROM executions_executionerror
            WHERE organization_id = %s AND fingerprint = groups.fingerprint AND {window}
            AND execution_id NOT IN (
                SELECT id FROM executions_unfinisheddeletion WHERE organization_id = %s
            )
            ORDER BY timestamp DESC, id DESC LIMIT 1
        ) AS newest
    """  # noqa: S608 - no user input
    of_newest = (organization.pk, *of_window, organization.pk)
    return [GroupCount(*row) for row in _fetch((statement, (*parameters, *of_newest)))]


def count_by_days(
    organization: Organization,
    spans: Spans,
    filters: Filters,
    fingerprints: Collection[str],
    starts: Sequence[float],
) -> list[tuple[str, int, int]]:
    """Group, number of the bucket and number of errors. Buckets begin with whole days."""
    counted, parameters = _counted(organization, spans, filters, ["all"])
    statement = f"""
        SELECT fingerprint, width_bucket(place::double precision * {DAY}, %s::double precision[]),
            sum(errors)::bigint
        FROM ({counted}) AS counted WHERE fingerprint = ANY (%s) GROUP BY 1, 2
    """  # noqa: S608 - no user input
    return _fetch((statement, (list(starts), *parameters, list(fingerprints))))


def _counted(
    organization: Organization, spans: Spans, filters: Filters, properties: list[str]
) -> Statement:
    """A statement of property, place, fingerprint, value and number: of each row of the rollup, of
    each change that is not added up in it yet, and of each error at the edges of the window.
    """
    of_group = [filters.fingerprint] if filters.fingerprint else []
    group = "AND fingerprint = %s" if of_group else ""
    days, of_days = limits("place", spans.first, spans.stop)
    condition = f"""
        organization_id = %s AND seconds = %s AND property = ANY (%s) AND {days} {group}
    """
    parts = [
        f"""
        SELECT property, place, fingerprint, value, errors FROM executions_errorcount
        WHERE {condition}
        """,  # noqa: S608 - no user input
        f"""
        SELECT property, place, fingerprint, value, errors
        FROM executions_errorchange {OF_CHANGE} WHERE {condition}
        """,  # noqa: S608 - no user input
    ]
    own = (organization.pk, spans.seconds, properties, *of_days, *of_group)
    parameters = [*own, *own]
    until = None if spans.first is None else spans.first * spans.seconds
    since = None if spans.stop is None else spans.stop * spans.seconds
    for start, end in ((filters.start, until), (since, filters.end)):
        if start is None or end is None:
            continue
        parts.append(f"""
            SELECT property, place, fingerprint, value, 1
            FROM executions_executionerror AS error CROSS JOIN LATERAL (
                SELECT user_id, agent_name FROM executions_execution
                WHERE organization_id = error.organization_id AND id = error.execution_id LIMIT 1
            ) AS execution
            {OF_ERROR}
            WHERE error.organization_id = %s AND timestamp >= %s AND timestamp < %s
            AND seconds = %s AND property = ANY (%s) {group}
        """)  # noqa: S608 - no user input
        parameters += [organization.pk, start, end, spans.seconds, properties, *of_group]
    return " UNION ALL ".join(parts), tuple(parameters)


def _fetch(statement: Statement) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        return cursor.fetchall()
