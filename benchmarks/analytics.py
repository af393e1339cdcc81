"""The product's analytics against the best-written index-only scan of the raw rows and DuckDB.

python -m benchmarks.analytics              the table of benchmarks/README.md
python -m benchmarks.analytics --small      20,000 rows, one round: does it work at all?
python -m benchmarks.analytics --explain    also prints the plans
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks import product
from benchmarks.analytics_data import rebuild, set_up
from benchmarks.analytics_peer import DuckDB, duckdb
from benchmarks.circumstances import Circumstances, measured
from benchmarks.machine import new_cluster, postmaster, prefer

POSTGRES = ("shared_buffers = '4GB'", "work_mem = '64MB'", "max_wal_size = '16GB'")
INSIDE = "organization_id = %s AND created_at >= %s AND created_at < %s"
RAW_TREND = f"""
    SELECT date_bin('1 day', created_at, '1970-01-01 00:00+00') AS day, count(*)
    FROM tokens_tokenevent WHERE {INSIDE} AND outcome = 'issued' GROUP BY 1
"""  # noqa: S608 - no user input
RAW_HEATMAP = f"""
    SELECT extract(dow FROM hour AT TIME ZONE 'UTC')::int AS dow,
           extract(hour FROM hour AT TIME ZONE 'UTC')::int, sum(count)::bigint
    FROM (SELECT date_bin('1 hour', created_at, '1970-01-01 00:00+00') AS hour, count(*)
          FROM tokens_tokenevent WHERE {INSIDE} AND outcome IN ('issued', 'refused') GROUP BY 1
         ) AS hours GROUP BY 1, 2
"""  # noqa: S608 - no user input
RAW_MONTH = f"""
    SELECT agent_id, count(*) FROM tokens_tokenevent
    WHERE {INSIDE} AND outcome = 'issued' GROUP BY 1
"""  # noqa: S608 - no user input
ASKED_EACH_ROUND = 3
"""How often the fast ones are asked for each time that the raw rows are."""


@dataclass
class Question:
    """An analysis of the product, and the raw query with the same result. All times are in
    milliseconds.
    """

    name: str
    kind: str
    ask: Callable[[], Any]
    raw: str
    parameters: tuple[Any, ...]
    as_set: Callable[[Any], set[Any]]
    times: list[float] = field(default_factory=list)
    """Execution time inside PostgreSQL, without planning and network."""
    raw_times: list[float] = field(default_factory=list)
    layer_times: list[float] = field(default_factory=list)
    """The whole call of the product's function: building SQL, waiting, and building objects."""
    duckdb_times: list[float] = field(default_factory=list)
    """DuckDB in its own process, from the query's text to Python's rows."""

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def layer_median(self) -> float:
        return statistics.median(self.layer_times)


class Statements:
    """Keeps every statement that Django sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        self.sent.append((sql, parameters))
        return execute(sql, parameters, many, context)


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
                "trend",
                partial(queries.count_by_day, organization, period),
                RAW_TREND,
                inside,
                lambda rows: {(row.date, row.count) for row in rows if row.count},
            ),
            Question(
                f"heatmap, {days} days",
                "heatmap",
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
            "month",
            partial(queries.count_by_agent, organization, month),
            RAW_MONTH,
            (organization.pk, month.start, month.end),
            lambda rows: {(row.agent_id, row.count) for row in rows},
        )
    )
    return sorted(found, key=lambda question: question.name, reverse=True)


def measure(organization: Any, asked: list[Question], peer: DuckDB | None, rounds: int) -> None:
    """Alternate between product, raw rows and DuckDB, after a warm-up round that compares their
    results.
    """
    from organizations.tenancy.scope import organization_scope

    freeze()  # as web servers do
    with organization_scope(organization):
        for question in asked:
            compare(question, peer)
        for _ in range(rounds):
            for question in asked:
                _, start, end = question.parameters
                sent = statements(question.ask)
                question.times.append(sum(execution_time(*one) for one in sent))
                question.raw_times.append(execution_time(question.raw, question.parameters))
                for _ in range(ASKED_EACH_ROUND):
                    question.layer_times.append(milliseconds(question.ask))
                for _ in range(ASKED_EACH_ROUND if peer else 0):
                    question.duckdb_times.append(peer.ask(question.kind, start, end)[1])


def compare(question: Question, peer: DuckDB | None) -> None:
    """End the benchmark unless product, raw rows and DuckDB give the same answer."""
    answer = as_text(question.as_set(question.ask()))
    _, start, end = question.parameters
    others: dict[str, Iterable[Any]] = {
        "the raw rows": map(plain, run(question.raw, question.parameters))
    }
    if peer:
        others["DuckDB"] = peer.ask(question.kind, start, end)[0]
    for name, rows in others.items():
        if answer != as_text(rows):
            sys.exit(f"{question.name}: the product and {name} disagree")


def as_text(rows: Iterable[Iterable[Any]]) -> set[tuple[str, ...]]:
    return {tuple(map(str, row)) for row in rows}


def freeze() -> None:
    """Keep the garbage collector from traversing what is loaded."""
    gc.collect()
    gc.freeze()


def milliseconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def execution_time(sql: str, parameters: Any) -> float:
    """The execution time of the statement in milliseconds, measured by PostgreSQL."""
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {sql}"
    ((plan,),) = run(explain, parameters)
    return float(plan[0]["Execution Time"])


def statements(ask: Callable[[], Any]) -> list[tuple[str, Any]]:
    """The statements that the product sends, with their parameters."""
    from django.db import connection

    kept = Statements()
    with connection.execute_wrapper(kept):
        ask()
    return kept.sent


def run(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with days as dates, as in the product's response."""
    is_day = isinstance(row[0], datetime)
    return (row[0].astimezone(UTC).date(), *row[1:]) if is_day else row


def version() -> str:
    """PostgreSQL's version."""
    ((number,),) = run("SHOW server_version", ())
    return str(number)


def print_plans(organization: Any, asked: list[Question]) -> None:
    from organizations.tenancy.scope import organization_scope

    with organization_scope(organization):
        for question in asked:
            for title, sql, parameters in (
                *((f"{question.name}, product", *one) for one in statements(question.ask)),
                (f"{question.name}, raw rows", question.raw, question.parameters),
            ):
                print(f"\n{title}")
                for (line,) in run(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}", parameters):
                    print(f"    {line}")


def print_table(asked: list[Question], rows: int) -> None:
    """The product beside raw rows and DuckDB, for one number of events."""
    heads = [
        f"{rows:,} events",
        "PostgreSQL's clock: product / raw, ms",
        "raw ÷ product",
        "Python layer, ms",
    ]
    if asked[0].duckdb_times:
        heads += ["DuckDB, ms", "DuckDB ÷ PostgreSQL's clock", "DuckDB ÷ Python layer"]
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for question in asked:
        raw = statistics.median(question.raw_times)
        cells = [
            question.name,
            f"{question.median:.2f} / {raw:.1f}",
            f"{raw / question.median:.0f}",
            f"{question.layer_median:.2f}",
        ]
        if question.duckdb_times:
            other = statistics.median(question.duckdb_times)
            cells += [
                f"{other:.2f}",
                f"{other / question.median:.1f}",
                f"{other / question.layer_median:.1f}",
            ]
        print(f"| {' | '.join(cells)} |")


def print_growth(results: dict[int, list[Question]]) -> None:
    """The product's times with the most events, divided by those with the fewest."""
    first, *_, last = sorted(results)
    print(f"\n| {first:,} to {last:,} events: growth | PostgreSQL's clock | Python layer |")
    print("|---" * 3 + "|")
    for before, after in zip(results[first], results[last], strict=True):
        grown = after.median / before.median, after.layer_median / before.layer_median
        print(f"| {before.name} | {grown[0]:.2f} | {grown[1]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--explain", action="store_true")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--no-duckdb", action="store_true", help="only the product and raw rows")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    options = parser.parse_args()
    sizes, rounds = ([5_000, 20_000], 1) if options.small else (options.rows, options.rounds)
    now = datetime.now(UTC)
    results: dict[int, list[Question]] = {}
    other_loads: list[float] = []
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
            name = f"analytics-{min(sizes)}-duckdb"
            with nullcontext() if options.no_duckdb else duckdb(name) as peer:
                servers = [postmaster(cluster), *([peer.pid] if peer else [])]
                if options.first:
                    prefer(servers)
                circumstances = Circumstances(servers)
                measure(organization, asked, peer, rounds)
                other_loads.append(circumstances.other_load)
                prefer([postmaster(cluster)], 0)
                print_table(asked, rows)
                print(f"PostgreSQL {version()}" + (f", DuckDB {peer.version}" if peer else ""))
            if options.explain:
                print_plans(organization, asked)
            from organizations.models import Organization

            wrong = rebuild(list(Organization.objects.all()))
            print(f"rollup rows that differ from a recount: {wrong}\n", flush=True)
            if wrong:
                sys.exit(1)
    if len(results) > 1:
        print_growth(results)
    print(measured(rounds, other_loads), flush=True)


if __name__ == "__main__":
    main()
