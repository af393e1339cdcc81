"""How many executions a second `manage.py import_kodosumi` brings into PostgreSQL.

python -m benchmarks.import_kodosumi            the table of docs/explanation/performance.md
python -m benchmarks.import_kodosumi --small    100 executions: does it work at all?

The folder is written as kodosumi's spooler does: WAL mode, ten rows a transaction, closed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

from agentidp.devtools.postgres_binaries import find_binaries
from benchmarks import product
from benchmarks.circumstances import Circumstances, measured
from benchmarks.earlier import checked_out
from benchmarks.machine import WORK, family_seconds, new_cluster, own_seconds, postmaster, prefer
from tests.spooler import USER, append_rows, fid_of, new_data, open_database, run_rows

USERS = 5
SPOOLER_BATCH = 10
NOTHING_ELSE = "0 changed, 0 deleted, 0 deleted earlier."


def write_folder(executions: int, events: int) -> Path:
    """Write a deployment in which all runs have ended."""
    folder = WORK / "kodosumi"
    shutil.rmtree(folder, ignore_errors=True)
    new_data(folder)
    rows = run_rows(events)
    for number in range(executions):
        user = f"{USER[:-1]}{number % USERS}"
        with closing(open_database(folder, fid_of(number), user=user)) as database:
            for first in range(0, events, SPOOLER_BATCH):
                append_rows(database, rows[first : first + SPOOLER_BATCH])
    return folder


def run_command(organization: Any, folder: Path) -> str:
    from django.core.management import call_command

    output = StringIO()
    call_command("import_kodosumi", folder, organization=organization.slug, stdout=output)
    return output.getvalue()


def look(organization: Any, folder: Path) -> Callable[[], Any]:
    """A poll of --watch for a deployment that it has seen before."""
    from importers.kodosumi.folders import DataFolder
    from importers.kodosumi.follow import Follower
    from importers.kodosumi.importer import importer

    source = DataFolder(folder)
    with importer(source, organization) as work:
        follower = Follower(source, organization, work)
        follower.look(lambda: False, lambda count, total: None)
    return lambda: follower.look(lambda: False, lambda count, total: None)


class Clock:
    """Elapsed seconds, and processor seconds of the import and of PostgreSQL."""

    def __init__(self, server: int) -> None:
        self._server = server

    def measure(self, work: Callable[[], Any]) -> tuple[Any, tuple[float, float, float]]:
        before = time.perf_counter(), own_seconds(), family_seconds([self._server])
        answer = work()
        after = time.perf_counter(), own_seconds(), family_seconds([self._server])
        wall, own, server = (new - old for new, old in zip(after, before, strict=True))
        return answer, (wall, own, server)


def measure(
    executions: int, events: int, rounds: int, server: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Measure rounds that import into a new organization each."""
    from organizations.models import Organization

    folder, clock = write_folder(executions, events), Clock(server)
    times: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(rounds):
        organization = Organization.objects.create(name="Import", slug=f"import-{number}")
        for name, expected in (
            ("first import", f"{executions:,} new, {NOTHING_ELSE} {executions * events:,} "),
            ("import with nothing new", f" 0 new, {NOTHING_ELSE} 0 "),
        ):
            printed, taken = clock.measure(lambda to=organization: run_command(to, folder))
            if expected not in printed or "problems" in printed:
                sys.exit(printed)
            times.setdefault(name, []).append(taken)
        _, taken = clock.measure(look(organization, folder))
        times.setdefault("look of --watch with nothing new", []).append(taken)
    return times


def print_table(
    times: dict[str, list[tuple[float, float, float]]], executions: int, events: int
) -> None:
    print(
        f"| {executions:,} executions of {events} events | seconds [min-max] | executions/s | "
        "processor ms an execution: import | PostgreSQL |\n|---|---|---|---|---|"
    )
    for name, taken in times.items():
        wall, own, server = (statistics.median(column) for column in zip(*taken, strict=True))
        walls = [one[0] for one in taken]
        print(
            f"| {name} | {wall:.2f} [{min(walls):.2f}-{max(walls):.2f}] | {executions / wall:,.0f} "
            f"| {own / executions * 1000:.2f} | {server / executions * 1000:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executions", type=int, default=5000)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--before", metavar="COMMIT", help="then also the import as it was then")
    options = parser.parse_args()
    executions, rounds = (100, 1) if options.small else (options.executions, options.rounds)
    with new_cluster("import", durable=not options.small) as cluster:
        product.set_up(cluster)
        server = postmaster(cluster)
        if options.first:
            prefer([server])
        circumstances = Circumstances([server])
        times = measure(executions, options.events, rounds, server)
        other_load = circumstances.other_load
    print_table(times, executions, options.events)
    print(measured(rounds, [other_load]), flush=True)
    if options.before:
        sizes = ["--rounds", rounds, "--executions", executions, "--events", options.events]
        run_before(options.before, [*map(str, sizes), *["--first"] * options.first])
    shutil.rmtree(WORK / "kodosumi")


def run_before(commit: str, options: list[str]) -> None:
    """Measure the import of an earlier commit with its own script, on the same PostgreSQL."""
    with checked_out(commit) as (folder, python):
        print(f"\nBefore, at commit {commit}:", flush=True)
        subprocess.run(
            [python, "-m", "benchmarks.import_kodosumi", *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder), "AGENTIDP_PG_BIN": str(find_binaries())},
            check=True,
        )


if __name__ == "__main__":
    main()
