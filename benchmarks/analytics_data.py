"""Token events of 201 organizations over 90 days, their rollups, and the same rows as CSV."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

TENANTS = 200
BIG_TENANT_SHARE = 0.2
BIG_TENANT_AGENTS = 250
AGENTS_EACH = 25

# Uniform over 90 days: the worst case for a rollup, because no hour or agent is ever empty.
EVENTS = """
    INSERT INTO tokens_tokenevent
        (id, organization_id, created_at, outcome, reason, agent_id, credential_id, token_id,
         scope, ip_address)
    SELECT gen_random_uuid(), %(organization)s, %(start)s + random() * (%(end)s - %(start)s),
           (ARRAY['issued', 'refused', 'introspected'])[1 + (random() > 0.9)::int
                                                          + (random() > 0.99)::int],
           '', agent, agent, gen_random_uuid(), 'agents:read tokens:read', '192.0.2.1'
    FROM (SELECT md5(%(organization)s || floor(random() * %(agents)s)::text)::uuid AS agent
          FROM generate_series(1, %(count)s)) AS callers
"""
EXPORT = """
    SELECT {number}, created_at AT TIME ZONE 'UTC', agent_id, outcome FROM tokens_tokenevent
"""
COVERING_INDEX = """
    CREATE INDEX covering ON tokens_tokenevent (organization_id, created_at)
    INCLUDE (agent_id, outcome)
"""
EVENT_TABLE = "tokens_tokenevent"
ROLLUPS = ("hourusage", "quarterusage", "agentdayusage", "agentmonthusage")
TABLES = (EVENT_TABLE, *(f"analytics_{name}" for name in ROLLUPS))


def set_up(rows: int, now: datetime) -> tuple[Any, dict[str, int]]:
    """Insert the events and fill the rollups; return the big tenant and the sizes."""
    from django.db import connection

    from organizations.models import Organization

    organizations = list(Organization.objects.filter(slug__startswith="tenant-").order_by("slug"))
    if not organizations:
        organizations = Organization.objects.bulk_create(
            Organization(name=f"Tenant {n}", slug=f"tenant-{n:03}") for n in range(TENANTS + 1)
        )
    with connection.cursor() as cursor:
        prepare_tables(cursor)
        for organization, count in zip(organizations, shares(rows), strict=True):
            is_big = organization is organizations[0]
            agents = BIG_TENANT_AGENTS if is_big else AGENTS_EACH
            insert_events(organization, count, agents, now)
        cursor.execute(COVERING_INDEX)
        cursor.execute("ALTER TABLE tokens_tokenevent ENABLE TRIGGER USER")
    for organization in organizations:
        fill_rollups(organization)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        sizes = {table: size_of(cursor, "pg_table_size", table) for table in TABLES}
        sizes["covering index"] = size_of(cursor, "pg_relation_size", "covering")
    return organizations[0], sizes


def prepare_tables(cursor: Any) -> None:
    """Empty the tables, and drop references, triggers and other indexes, which only slow the
    filling.
    """
    cursor.execute(f"TRUNCATE {', '.join(TABLES)}")
    cursor.execute("DROP INDEX IF EXISTS covering, tokens_event_time, tokens_event_agent")
    cursor.execute("ALTER TABLE tokens_tokenevent DISABLE TRIGGER USER")
    cursor.execute(
        "SELECT conname FROM pg_constraint "
        "WHERE conrelid = 'tokens_tokenevent'::regclass AND contype IN ('f', 'p', 'u')"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'ALTER TABLE tokens_tokenevent DROP CONSTRAINT "{name}" CASCADE')


def shares(rows: int) -> list[int]:
    """The rows of each tenant: one has a fifth, the others follow Zipf's law with exponent 1.1."""
    weights = [1 / rank**1.1 for rank in range(1, TENANTS + 1)]
    rest = rows * (1 - BIG_TENANT_SHARE) / sum(weights)
    return [int(rows * BIG_TENANT_SHARE), *(int(weight * rest) for weight in weights)]


def insert_events(organization: Any, count: int, agents: int, now: datetime) -> None:
    from django.db import connection

    from organizations.tenancy.scope import organization_scope

    start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=89)
    values = {"organization": str(organization.pk), "start": start, "end": now}
    with organization_scope(organization), connection.cursor() as cursor:
        cursor.execute(EVENTS, values | {"agents": agents, "count": count})


def fill_rollups(organization: Any) -> None:
    """Fill the organization's rollups from its events, each by one statement.

    The product's own rebuild corrects row by row, which is slow for rollups that are empty.
    """
    from django.db import connection

    from analytics.rollups import ROLLUPS as DECLARED
    from organizations.tenancy.scope import organization_scope

    with organization_scope(organization), connection.cursor() as cursor:
        for rollup in DECLARED:
            columns = rollup.key | rollup.counts | rollup.newest
            groups = ", ".join(str(number) for number in range(1, len(rollup.key) + 1))
            cursor.execute(
                f"INSERT INTO {rollup.table} ({', '.join(columns)}) "  # noqa: S608
                f"SELECT {', '.join(columns.values())} FROM {rollup.source} "
                f"WHERE {rollup.where} GROUP BY {groups}"
            )


def export(file: Path) -> None:
    """Write all events as CSV, with numbers for organizations: the big tenant is 0."""
    from django.db import connection

    from organizations.models import Organization
    from organizations.tenancy.scope import organization_scope

    organizations = Organization.objects.filter(slug__startswith="tenant-").order_by("slug")
    with file.open("wb") as output:
        for number, organization in enumerate(organizations):
            with organization_scope(organization), connection.cursor() as cursor:
                statement = f"COPY ({EXPORT.format(number=number)}) TO STDOUT (FORMAT csv)"
                with cursor.copy(statement) as lines:
                    for line in lines:
                        output.write(line)


def rebuild(organizations: list[Any]) -> int:
    """Run the product's own rebuild; return how many rollup rows differed from the recount."""
    from analytics.rebuild import rebuild_rollups

    return sum(
        difference.rows
        for organization in organizations
        for difference in rebuild_rollups(organization)
    )


def size_of(cursor: Any, measure: str, relation: str) -> int:
    """The size of a table or index with its partitions, in bytes."""
    tree = f"pg_partition_tree('{relation}')"  # empty without partitions
    own = f"{measure}('{relation}')"
    cursor.execute(f"SELECT coalesce(sum({measure}(relid)), {own}) FROM {tree}")  # noqa: S608
    return int(cursor.fetchone()[0])
