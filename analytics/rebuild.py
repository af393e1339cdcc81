"""Rebuilding an organization's rollups from its token events, with a report of differences."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from analytics.models import NOBODY
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

COUNTS = ("issued", "refused", "introspected", "revoked")
NOBODY_IN_SQL = f"'{NOBODY}'"
EXAMPLES = 20


@dataclass(frozen=True)
class Rollup:
    """A rollup's table, and its columns as SQL expressions over a token event."""

    table: str
    key: dict[str, str]
    keeps_newest: bool

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.key, *COUNTS, *(("last_at",) if self.keeps_newest else ()))

    def recount(self) -> str:
        """The statement that computes its rows from the events of the organization in scope."""
        values = [f"{sql} AS {name}" for name, sql in self.key.items()]
        values += [
            f"coalesce(sum(times) FILTER (WHERE outcome = '{name}'), 0) AS {name}"
            for name in COUNTS
        ]
        values += ["max(created_at) AS last_at"] if self.keeps_newest else []
        groups = ", ".join(str(n + 1) for n in range(len(self.key)))
        return f"SELECT {', '.join(values)} FROM tokens_tokenevent GROUP BY {groups}"  # noqa: S608


ORGANIZATION = {"organization_id": "organization_id"}
AGENT = {"agent_id": f"coalesce(agent_id, {NOBODY_IN_SQL})"}
ROLLUPS = (
    Rollup(
        "analytics_hourusage",
        ORGANIZATION | {"hour": "floor(extract(epoch FROM created_at) / 3600)::integer"},
        keeps_newest=False,
    ),
    Rollup(
        "analytics_quarterusage",
        ORGANIZATION | {"quarter": "floor(extract(epoch FROM created_at) / 900)::integer"},
        keeps_newest=False,
    ),
    Rollup(
        "analytics_agentdayusage",
        ORGANIZATION
        | {"day": "(created_at AT TIME ZONE 'UTC')::date"}
        | AGENT
        | {"credential_id": f"coalesce(credential_id, {NOBODY_IN_SQL})"},
        keeps_newest=True,
    ),
    Rollup(
        "analytics_agentmonthusage",
        ORGANIZATION
        | {"month": "date_trunc('month', created_at AT TIME ZONE 'UTC')::date"}
        | AGENT,
        keeps_newest=True,
    ),
)


@dataclass(frozen=True)
class Difference:
    """A rollup that differed from the recount: the number of its rows, and the first of them."""

    table: str
    rows: int
    examples: tuple[str, ...]


def rebuild_rollups(organization: Organization) -> tuple[Difference, ...]:
    """Compare every rollup with a recount and replace those that differ, in one transaction.

    Writers of this organization wait for it; those of others do not.
    """
    with organization_scope(organization), connection.cursor() as cursor:
        # Every writer holds a shared lock until it commits, so the recount now sees all events.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('rollups of ' || %s, 0))",
            [str(organization.pk)],
        )
        found = []
        for rollup in ROLLUPS:
            if difference := _difference(cursor, rollup):
                found.append(difference)
                columns = ", ".join(rollup.columns)
                cursor.execute(f"DELETE FROM {rollup.table}")  # noqa: S608 - our own names
                cursor.execute(f"INSERT INTO {rollup.table} ({columns}) {rollup.recount()}")
        return tuple(found)


def _difference(cursor: Any, rollup: Rollup) -> Difference | None:
    columns, key = ", ".join(rollup.columns), ", ".join(rollup.key)
    statement = f"""
        WITH expected AS ({rollup.recount()}),
             kept AS (SELECT {columns} FROM {rollup.table}),
             missing AS (SELECT * FROM expected EXCEPT SELECT * FROM kept),
             wrong AS (SELECT * FROM kept EXCEPT SELECT * FROM expected)
        SELECT row(kept.*)::text, row(expected.*)::text, count(*) OVER ()
        FROM (SELECT * FROM wrong) kept FULL JOIN (SELECT * FROM missing) expected USING ({key})
        ORDER BY {key} LIMIT {EXAMPLES}
    """  # noqa: S608 - our own names
    cursor.execute(statement)
    rows = cursor.fetchall()
    if not rows:
        return None
    examples = tuple(f"kept {kept or 'nothing'}, counted {counted}" for kept, counted, _ in rows)
    return Difference(rollup.table, rows[0][2], examples)
