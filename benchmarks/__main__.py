"""Every row of the table in benchmarks/README.md, one after the other: `make bench`.

python -m benchmarks                    an hour on a machine that does nothing else
python -m benchmarks --small            one short round of each: does it work?
python -m benchmarks growth import      only these rows
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.machine import PROJECT, find_program, one_of

BEFORE = "d45453372105"
"""The last commit before the work on speed: the token endpoint, the rollups, the import."""
TOKENS = (
    *("product", "product, 4 threads", "product, one organization", "product, RS256"),
    *("product, no database", "before", "DOT best", "oidc-provider ES256", "oidc-provider RS256"),
)
ALONE = ("product", "before")


@dataclass(frozen=True)
class Row:
    """A command, and the programs that it needs beside Python's packages."""

    title: str
    script: str
    options: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    needs_earlier_commit: bool = False
    port: int | None = None
    """Added to `--port`, for those that listen."""


ROWS = {
    "tokens": Row(
        "tokens a second, 32 connections",
        "token_endpoint",
        ("--before", BEFORE, "--rounds", "3", "--only", ";".join(TOKENS)),
        programs=("wrk", "node", "npm"),
        needs_earlier_commit=True,
        port=0,
    ),
    "alone": Row(
        "tokens, one connection",
        "token_endpoint",
        ("--before", BEFORE, "--rounds", "3", "--connections", "1", "--only", ";".join(ALONE)),
        programs=("wrk",),
        needs_earlier_commit=True,
        port=0,
    ),
    "analytics": Row("trend, heatmap and month against raw rows and DuckDB; growth", "analytics"),
    "growth": Row(
        "the dashboard at 1,000 and 50,000 executions", "executions", ("growth",), port=1
    ),
    "kodosumi": Row(
        "the dashboard against kodosumi",
        "executions",
        ("kodosumi",),
        programs=("python3.12",),
        port=1,
    ),
    "import": Row(
        "the import of 5,000 executions",
        "import_kodosumi",
        ("--before", BEFORE),
        needs_earlier_commit=True,
    ),
}


def missing(row: Row) -> str:
    """What the row needs and this machine has not, or nothing."""
    absent = [program for program in row.programs if find_program(program) is None]
    if row.needs_earlier_commit:
        known = ["git", "-C", str(PROJECT), "cat-file", "-e", f"{BEFORE}^{{commit}}"]
        if subprocess.run(known, check=False, capture_output=True).returncode:
            absent.append(f"commit {BEFORE}, which a shallow clone lacks")
    return ", ".join(absent)


def command(row: Row, options: argparse.Namespace) -> list[str]:
    """The row's command line."""
    listed = [sys.executable, "-m", f"benchmarks.{row.script}", *row.options]
    listed += ["--port", str(options.port + row.port)] if row.port is not None else []
    return [*listed, *["--small"] * options.small, *["--first"] * options.first]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", type=one_of(ROWS), help=", ".join(ROWS))
    parser.add_argument("--small", action="store_true", help="one short round of each")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--port", type=int, default=3160, help="the first of three")
    options = parser.parse_args()
    outcomes = {}
    for name in options.rows or ROWS:
        row, started = ROWS[name], time.monotonic()
        print(f"\n## {name}: {row.title}\n", flush=True)
        if lacks := missing(row):
            outcomes[name] = f"not run: this machine lacks {lacks}"
            continue
        code = subprocess.run(command(row, options), cwd=PROJECT, check=False).returncode
        result = "failed" if code else "done"
        outcomes[name] = f"{result} in {time.monotonic() - started:.0f} s"
    print()
    for name, outcome in outcomes.items():
        print(f"{name:<10} {outcome}")
    sys.exit(any(outcome.startswith("failed") for outcome in outcomes.values()))


if __name__ == "__main__":
    main()
