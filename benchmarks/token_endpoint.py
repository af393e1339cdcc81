"""Tokens a second over HTTP: the whole product against django-oauth-toolkit, in one run.

python -m benchmarks.token_endpoint            the table of benchmarks/README.md
python -m benchmarks.token_endpoint --small    does it work at all?
python -m benchmarks.token_endpoint --before COMMIT --only "product;before"    slower than then?
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from agentidp.devtools.embedded_postgres import Cluster
from benchmarks import product
from benchmarks.machine import (
    HERE,
    WORK,
    Load,
    granian,
    new_cluster,
    postmaster,
    prefer,
    virtual_environment,
    wait_for_quiet,
    wrk,
)

PORT = 3160
CONNECTIONS = 32
POSTGRES = ("shared_buffers = '1GB'", "max_wal_size = '8GB'")


@dataclass
class Contender:
    """A server in one configuration, and its measurements."""

    name: str
    clients: str
    target: str = "agentidp.wsgi:unguarded_application"
    path: str = "/api/v1/token"
    python: Path = Path(sys.executable)
    folder: Path = HERE.parent
    environment: dict[str, str] = field(default_factory=dict)
    around: Callable[[], Any] = nullcontext
    count_rows: Callable[[], int] | None = None
    threads: int = 4
    slowness: int = 1
    cluster: Cluster | None = None
    """The server's own PostgreSQL, if it has one."""
    loads: list[Load] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(load.per_second for load in self.loads)


def products(environment: dict[str, str]) -> list[Contender]:
    """The product as it is, and variants that show the cost of its parts."""
    build = partial(Contender, environment=environment, count_rows=product.count_events)
    return [
        build("product", "spread"),
        build("product, 8 threads", "spread", threads=8),
        build("product, 16 threads", "spread", threads=16),
        build("product, 32 threads", "spread", threads=32),
        build("product, RS256", "spread", around=partial(product.signing_with, "RS256")),
        build("product, one organization", "hot"),
        build("product, not durable", "spread", around=product.without_waiting_for_the_disk),
        Contender(
            "product, no database",
            "spread",
            "benchmarks.ceiling:application",
            environment=environment,
        ),
    ]


def peers(cluster: Cluster) -> list[Contender]:
    """django-oauth-toolkit in its own environment and database on the same cluster."""
    folder = HERE / "peers"
    python = virtual_environment("django-oauth-toolkit", folder / "requirements.txt")
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE dot")
    shared = {"DOT_DATABASE_HOST": str(cluster.sockets), "DJANGO_SETTINGS_MODULE": "dot_settings"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [python, "dot_clients.py", *arguments],
            cwd=folder,
            env=os.environ | shared | {"DOT_BEST": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    run("fill", str(WORK))
    build = partial(
        Contender,
        target="dot_application:application",
        path="/token",
        python=python,
        folder=folder,
        count_rows=lambda: int(run("count")),
    )
    return [
        build("DOT default", "dot_default", environment=shared | {"DOT_BEST": "0"}, slowness=4),
        build("DOT best", "dot_best", environment=shared | {"DOT_BEST": "1"}),
        build("DOT best, 8 threads", "dot_best", environment=shared | {"DOT_BEST": "1"}, threads=8),
    ]


SET_UP = """
import json, sys
from types import SimpleNamespace
from benchmarks import product
environment = product.set_up(SimpleNamespace(**json.load(sys.stdin)))
product.make_clients()
print(json.dumps(environment))
"""


@contextmanager
def before(commit: str) -> Iterator[Contender]:
    """The product at an earlier commit, with that commit's code and benchmark clients and its
    own PostgreSQL.
    """
    folder = WORK / "before"
    git = ["git", "-C", str(HERE.parent), "worktree"]
    subprocess.run([*git, "remove", "--force", folder], capture_output=True)
    subprocess.run([*git, "add", "--detach", folder, commit], check=True, capture_output=True)
    try:
        python = virtual_environment(f"before-{commit}", folder / "requirements.txt")
        with new_cluster("token-endpoint-before", POSTGRES) as cluster:
            settings = {
                "url": cluster.url,
                "owner_url": cluster.owner_url,
                "sockets": str(cluster.sockets),
            }
            work = folder / WORK.relative_to(HERE.parent)
            work.mkdir(parents=True)
            done = subprocess.run(
                [python, "-c", SET_UP],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(folder)},
                input=json.dumps(settings),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            environment = json.loads(done.stdout.splitlines()[-1])
            yield Contender(
                "before",
                str(work / "spread"),
                python=python,
                folder=folder,
                environment=environment | {"PYTHONPATH": str(folder)},
                cluster=cluster,
            )
    finally:
        subprocess.run([*git, "remove", "--force", folder], capture_output=True)


def measure(
    contender: Contender, cluster: Cluster, seconds: int, options: argparse.Namespace
) -> None:
    """A round: a new server, a warm-up in which every client makes a request, then the measured
    run.
    """
    # 32 callers wait long for a server that answers 7 requests a second.
    seconds *= contender.slowness
    url = f"http://127.0.0.1:{PORT}{contender.path}"
    before = contender.count_rows() if contender.count_rows else 0
    server = granian(
        contender.target,
        port=PORT,
        environment=contender.environment,
        python=contender.python,
        folder=contender.folder,
        threads=contender.threads,
    )
    with contender.around(), server as process:
        ours = [process, postmaster(contender.cluster or cluster)]
        run = partial(
            wrk,
            url,
            WORK / contender.clients,
            host=product.HOST,
            ours=ours,
        )
        warm_up = run(seconds=min(seconds, 5))
        if options.first:
            prefer(ours)
        elif not options.small:
            wait_for_quiet()
        load = run(seconds=seconds)
    if warm_up.failed or load.failed:
        sys.exit(f"{contender.name}: not every answer was a token: {warm_up} {load}")
    contender.loads.append(load)
    if contender.count_rows:
        # wrk exits without waiting for its last responses, in either run.
        surplus = contender.count_rows() - before - warm_up.requests - load.requests
        if not 0 <= surplus <= 2 * CONNECTIONS:
            sys.exit(f"{contender.name}: {-surplus} more answers than rows")


def print_table(contenders: list[Contender]) -> None:
    """The result as a Markdown table."""
    rates = {contender.name: contender.rate for contender in contenders}
    print(
        "| | tokens/s median [min-max] | p50 / p99 ms | CPU ms a token "
        "| times DOT default | times DOT best | other load |"
    )
    print("|---|---|---|---|---|---|---|")
    for contender in contenders:
        loads = contender.loads
        speeds = [load.per_second for load in loads]
        cells = [
            contender.name,
            f"{contender.rate:,.0f} [{min(speeds):,.0f}-{max(speeds):,.0f}]",
            f"{median(loads, 'p50'):,.0f} / {median(loads, 'p99'):,.0f}",
            f"{median(loads, 'cpu_ms'):,.2f}",
            *(
                f"{contender.rate / rates[peer]:,.2f}" if rates.get(peer) else ""
                for peer in ("DOT default", "DOT best")
            ),
            f"{median(loads, 'background'):.0%}",
        ]
        print(f"| {' | '.join(cells)} |")


def median(loads: list[Load], name: str) -> float:
    return statistics.median(getattr(load, name) for load in loads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one round of seconds, no waiting")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--only", help="names of contenders, with semicolons between")
    parser.add_argument("--before", metavar="COMMIT", help="the product as it was then, in turns")
    options = parser.parse_args()
    rounds, seconds = (1, 2) if options.small else (options.rounds, options.seconds)

    with ExitStack() as stack:
        older = [stack.enter_context(before(options.before))] if options.before else []
        cluster = stack.enter_context(new_cluster("token-endpoint", POSTGRES))
        environment = product.set_up(cluster)
        product.make_clients()
        only = options.only.split(";") if options.only else []
        others = [] if only and not any("DOT" in name for name in only) else peers(cluster)
        contenders = [*products(environment), *older, *others]
        if only:
            contenders = [one for one in contenders if one.name in only]
        for number in range(1, rounds + 1):
            for contender in contenders:
                measure(contender, cluster, seconds, options)
                load = contender.loads[-1]
                print(
                    f"round {number}  {contender.name:<28}{load.per_second:8,.1f}/s"
                    f"  p99 {load.p99:,.0f} ms  CPU {load.cpu_ms:.2f} ms"
                    f"  others {load.background:.0%}",
                    flush=True,
                )
        print()
        print_table(contenders)


if __name__ == "__main__":
    main()
