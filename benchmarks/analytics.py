"""The product's analytics against the best-written index-only scan of the raw rows, in one run.

python -m benchmarks.analytics              the table of benchmarks/README.md
python -m benchmarks.analytics --small      100,000 rows, one round: does it work at all?
python -m benchmarks.analytics --explain    also prints the plans
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks import product
from benchmarks.machine import new_cluster, postmaster, prefer

TENANTS = 200
BIG_TENANT_SHARE = 0.2
BIG_TENANT_AGENTS = 250
AGENTS_EACH = 25
POSTGRES = ("shared_buffers = '4GB'", "work_mem = '64MB'", "max_wal_size = '16GB'")

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
COVERING_INDEX = """
    CREATE INDEX covering ON tokens_tokenevent (organization_id, created_at)
    INCLUDE (agent_id, outcome)
"""
INSIDE = "organization_id = %s AND created_at >= %s AND created_at < %s"
RAW_TREND = f"""
    SELECT date_bin('1 day', created_at, '1970-01-01 00:00+00') AS day, count(*)
    FROM tokens_tokenevent WHERE {INSIDE} AND outcome = 'issued' GROUP BY 1
"""  # noqa: S608 - our own text
RAW_HEATMAP = f"""
    SELECT extract(dow FROM hour AT TIME ZONE 'UTC')::int AS dow,
           extract(hour FROM hour AT TIME ZONE 'UTC')::int, sum(count)::bigint
    FROM (SELECT date_bin('1 hour', created_at, '1970-01-01 00:00+00') AS hour, count(*)
          FROM tokens_tokenevent WHERE {INSIDE} AND outcome IN ('issued', 'refused') GROUP BY 1
         ) AS hours GROUP BY 1, 2
"""  # noqa: S608 - our own text
RAW_MONTH = f"""
    SELECT agent_id, count(*) FILTER (WHERE outcome = 'issued')
    FROM tokens_tokenevent WHERE {INSIDE} GROUP BY 1
"""  # noqa: S608 - our own text


@dataclass
class Question:
    """An analysis of the product, and the raw query with the same result."""

    name: str
    ask: Callable[[], Any]
    raw: str
    parameters: tuple[Any, ...]
    as_set: Callable[[Any], set[Any]]
    times: list[float] = field(default_factory=list)
    """Execution time inside PostgreSQL in milliseconds, without planning and network."""
    raw_times: list[float] = field(default_factory=list)
    client_times: list[float] = field(default_factory=list)
    """Waiting time of the product in milliseconds, including network, planning and Django's
    cursor.
    """

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def speed_up(self) -> float:
        return statistics.median(self.raw_times) / self.median


class Stopwatch:
    """Sums the seconds of every statement that Django sends, and keeps its text."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, parameters, many, context)
        finally:
            self.seconds += time.perf_counter() - started
            self.statements.append((sql, parameters))


def questions(organization: Any, now: datetime) -> list[Question]:
    """Trend, heatmap and month table as the API requests them, for the last whole month."""
    from analytics import queries
    from analytics.periods import Period

    last_month = f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"
    found = []
    for days in (30, 90):
        period = Period.last_days(days, now=now)
        inside = (organization.pk, period.start, period.end)
        found += [
            Question(
                f"trend, {days} days",
                partial(queries.count_by_day, organization, period),
                RAW_TREND,
                inside,
                lambda rows: {(row.date, row.count) for row in rows if row.count},
            ),
            Question(
                f"heatmap, {days} days",
                partial(queries.count_by_hour_of_week, organization, period),
                RAW_HEATMAP,
                inside,
                lambda rows: {(row.dow, row.hour, row.count) for row in rows},
            ),
        ]
    month = Period.of_month(last_month, now=now)
    found.append(
        Question(
            "month table",
            partial(queries.count_by_agent, organization, month),
            RAW_MONTH,
            (organization.pk, month.start, month.end),
            lambda rows: {(row.agent_id, row.count) for row in rows},
        )
    )
    return sorted(found, key=lambda question: question.name, reverse=True)


def set_up(rows: int, now: datetime) -> tuple[Any, dict[str, int]]:
    """Insert the events and let the product build its rollups; return the big tenant and the
    sizes.
    """
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
    rebuild(organizations)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        sizes = {table: size_of(cursor, f"pg_table_size('{table}')") for table in TABLES}
        sizes["covering index"] = size_of(cursor, "pg_relation_size('covering')")
    return organizations[0], sizes


EVENT_TABLE = "tokens_tokenevent"
ROLLUPS = ("hourusage", "quarterusage", "agentdayusage", "agentmonthusage")
TABLES = (EVENT_TABLE, *(f"analytics_{name}" for name in ROLLUPS))


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


def rebuild(organizations: list[Any]) -> int:
    """Run the product's own rebuild; return how many rollup rows differed from the recount."""
    from analytics.rebuild import rebuild_rollups

    return sum(
        difference.rows
        for organization in organizations
        for difference in rebuild_rollups(organization)
    )


def size_of(cursor: Any, expression: str) -> int:
    cursor.execute(f"SELECT {expression}")
    return int(cursor.fetchone()[0])


def measure(organization: Any, asked: list[Question], rounds: int) -> None:
    """Alternate between product and raw rows, after a warm-up round."""
    from organizations.tenancy.scope import organization_scope

    with organization_scope(organization):
        for number in range(rounds + 1):
            for question in asked:
                answer, seconds, statements = timed(question.ask)
                if number:
                    question.client_times.append(seconds * 1000)
                    question.times.append(sum(execution_time(*one) for one in statements))
                    question.raw_times.append(execution_time(question.raw, question.parameters))
                    continue
                raw = run(question.raw, question.parameters)
                if question.as_set(answer) != {plain(row) for row in raw}:
                    sys.exit(f"{question.name}: the product and the raw rows disagree")


def execution_time(sql: str, parameters: Any) -> float:
    """The execution time of the statement in milliseconds, measured by PostgreSQL."""
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {sql}"
    ((plan,),) = run(explain, parameters)
    return float(plan[0]["Execution Time"])


def timed(ask: Callable[[], Any]) -> tuple[Any, float, list[tuple[str, Any]]]:
    from django.db import connection

    watch = Stopwatch()
    with connection.execute_wrapper(watch):
        answer = ask()
    return answer, watch.seconds, watch.statements


def run(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with days as dates, as in the product's response."""
    is_day = isinstance(row[0], datetime)
    return (row[0].astimezone(UTC).date(), *row[1:]) if is_day else row


def print_plans(organization: Any, asked: list[Question]) -> None:
    from organizations.tenancy.scope import organization_scope

    with organization_scope(organization):
        for question in asked:
            _, _, statements = timed(question.ask)
            for title, sql, parameters in (
                *((f"{question.name}, product", *one) for one in statements),
                (f"{question.name}, raw rows", question.raw, question.parameters),
            ):
                print(f"\n{title}")
                for (line,) in run(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}", parameters):
                    print(f"    {line}")


def print_table(results: dict[int, list[Question]]) -> None:
    first, last = min(results), max(results)
    print(
        "| | "
        + " | ".join(f"{rows:,} rows: product / raw ms | times | client ms" for rows in results),
        end="",
    )
    print(" | growth |")
    print("|---" * (3 * len(results) + 2) + "|")
    for index, question in enumerate(results[first]):
        cells = [question.name]
        for asked in results.values():
            raw = statistics.median(asked[index].raw_times)
            cells += [f"{asked[index].median:.2f} / {raw:.1f}", f"{asked[index].speed_up:.0f}"]
            cells.append(f"{statistics.median(asked[index].client_times):.2f}")
        cells.append(f"{results[last][index].median / question.median:.2f}")
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--explain", action="store_true")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    options = parser.parse_args()
    sizes, rounds = ([100_000], 1) if options.small else (options.rows, options.rounds)
    now = datetime.now(UTC)
    results: dict[int, list[Question]] = {}
    postgres = () if options.small else POSTGRES
    with new_cluster(f"analytics-{min(sizes)}", postgres, durable=False) as cluster:
        product.set_up(cluster)
        from django.db import connection

        from core.database_roles import as_owner

        for rows in sizes:
            started = time.monotonic()
            with as_owner(connection):
                organization, bytes_of = set_up(rows, now)
            print(f"{rows:,} rows after {time.monotonic() - started:.0f} s", flush=True)
            for table, size in bytes_of.items():
                print(f"    {size / 2**20:8,.1f} MiB  {table}")
            results[rows] = asked = questions(organization, now)
            if options.first:
                prefer([postmaster(cluster)])
            measure(organization, asked, rounds)
            prefer([postmaster(cluster)], 0)
            print_table(results)
            if options.explain:
                print_plans(organization, asked)
            from organizations.models import Organization

            wrong = rebuild(list(Organization.objects.all()))
            print(f"rollup rows that differ from a recount: {wrong}\n", flush=True)
            if wrong:
                sys.exit(1)


if __name__ == "__main__":
    main()
