"""Live streams at full size: `python -m benchmarks.live [resume] [idle] [servers] [--small]`.

resume: many streams of one run that are repeatedly disconnected while events are written; counts
missing, repeated and misordered events. idle: many streams of idle runs; measures the server's
processor time and the database's transactions. servers: the cost of ordinary requests on the WSGI
server and on the streaming server; needs wrk.
"""

import argparse
import asyncio
import random
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from benchmarks.machine import family_seconds, granian, one_of, prefer, wait_for_quiet
from tests.live.deployment import Deployment, deployed, free_port
from tests.live.deployment import answers as ready
from tests.live.engine import Engine
from tests.live.viewer import Follower

Database = psycopg.Connection[tuple[int]]
TRANSACTIONS = (
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
)
SETTLING = 15
"""Seconds until the poller has switched to its slow tick."""


@dataclass(frozen=True)
class Size:
    streams: int
    cuts: int
    events: int
    idle_streams: int
    seconds: int
    rounds: int


FULL = Size(streams=50, cuts=20, events=100_000, idle_streams=500, seconds=30, rounds=5)
SMALL = Size(streams=5, cuts=4, events=2_000, idle_streams=60, seconds=3, rounds=1)
BATCH = 1000
WHAT = ("resume", "idle", "servers")
SERVERS = {"wsgi": "agentidp.wsgi:unguarded_application", "asgi": "agentidp.asgi:application"}
PATHS = ("/livez", "/api/v1/agents")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", type=one_of(WHAT), help="all, if none is named")
    parser.add_argument("--small", action="store_true", help="does it work at all?")
    arguments = parser.parse_args()
    what = arguments.what or WHAT
    size = SMALL if arguments.small else FULL
    with deployed(durable=True, agents=5) as deployment:
        if "resume" in what:
            asyncio.run(resume(deployment, size))
        if "idle" in what:
            asyncio.run(idle(deployment, size))
        if "servers" in what:
            servers(deployment, size)


async def resume(deployment: Deployment, size: Size) -> None:
    engine = Engine(deployment, deployment.clients[0])
    began = time.monotonic()
    generator = random.Random(1)  # noqa: S311 - repeatable
    places = [
        sorted(generator.sample(range(1, size.events), size.cuts)) for _ in range(size.streams)
    ]
    followers = [asyncio.create_task(unlucky(engine, each)) for each in places]
    await engine.say_all(size.events // BATCH, BATCH)
    written = time.monotonic() - began
    done = await asyncio.gather(*followers)
    seconds = time.monotonic() - began
    last = max(each.seen[-1] for each in done)
    wanted = list(range(1, last + 1))
    missing = sum(len(set(wanted) - set(each.seen)) for each in done)
    repeated = sum(len(each.seen) - len(set(each.seen)) for each in done)
    in_order = all(each.seen == sorted(each.seen) for each in done)
    connections = sum(each.connections for each in done)
    received = sum(len(each.seen) for each in done)
    print(f"{size.streams} streams, {connections} connections, {last} events each")
    print(f"missing {missing}, repeated {repeated}, in order {in_order}")
    rate = f"{received / seconds:.0f}/s"
    print(f"written in {written:.0f} s, all received after {seconds:.0f} s: {rate}")


async def unlucky(engine: Engine, places: list[int]) -> Follower:
    """A follower that is disconnected at each of these events."""
    follower = Follower(engine.stream, engine.token)
    for place in places:
        await follower.follow(cut_after=max(1, place - len(follower.seen)))
    await follower.follow_to_the_end()
    return follower


async def idle(deployment: Deployment, size: Size) -> None:
    engines = [Engine(deployment, client) for client in deployment.clients]
    runs = [engines[n % len(engines)].another() for n in range(size.idle_streams)]
    memory = deployment.server.memory()
    followers = [Follower(run.stream, run.token) for run in runs]
    tasks = [asyncio.create_task(each.follow()) for each in followers]
    while not all(each.seen for each in followers):
        await asyncio.sleep(0.2)
    await asyncio.sleep(SETTLING)
    with (
        psycopg.connect(deployment.cluster.url, autocommit=True) as database,
        used(deployment, database) as figures,
    ):
        await asyncio.sleep(size.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    grown = (deployment.server.memory() - memory) / size.idle_streams / 1024
    print(f"{size.idle_streams} idle streams for {size.seconds} s")
    print(f"processor {figures[0]:.1%} of a core, {figures[1]:.2f} transactions/s")
    print(f"memory {grown:.0f} KB a stream")


@contextmanager
def used(
    deployment: Deployment, database: "psycopg.Connection[tuple[int]]"
) -> Iterator[list[float]]:
    """Measure the server's share of a core and transactions a second during the block."""
    figures: list[float] = []
    began, processor = time.monotonic(), family_seconds([deployment.server.process.pid])
    transactions = transactions_of(database)
    yield figures
    seconds = time.monotonic() - began
    figures.append((family_seconds([deployment.server.process.pid]) - processor) / seconds)
    figures.append((transactions_of(database) - transactions - 1) / seconds)


def transactions_of(database: Database) -> int:
    """The number of transactions; a statement in autocommit counts as one."""
    return database.execute(TRANSACTIONS).fetchone()[0]


def servers(deployment: Deployment, size: Size) -> None:
    """Alternating rounds, each with a fresh server; one worker, eight threads, 32 connections."""
    token = Engine(deployment, deployment.clients[0]).token
    port = free_port()
    answers: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(size.rounds):
        for interface, target in SERVERS.items():
            with granian(
                target,
                port=port,
                environment=deployment.server.environment,
                workers=1,
                threads=8,
                interface=interface,
            ) as process:
                while not ready(f"http://127.0.0.1:{port}"):
                    time.sleep(0.1)
                prefer([process])
                for path in PATHS:
                    wait_for_quiet()
                    figures = load(f"http://127.0.0.1:{port}{path}", token, process)
                    answers.setdefault((path, interface), []).append(figures)
    for (path, interface), rounds in sorted(answers.items()):
        rate, cost = (statistics.median(each[n] for each in rounds) for n in (0, 1))
        print(f"{path} {interface}: {rate:.0f}/s, {cost * 1000:.2f} ms of processor time each")


def load(url: str, token: str, process: int) -> tuple[float, float]:
    """Responses a second, and the server's processor seconds per response."""
    command = ["wrk", "-t1", "-c32", "-d3s", "-H", f"Authorization: Bearer {token}", url]
    subprocess.run(command, capture_output=True, check=True)  # connections, caches
    before = family_seconds([process])
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = family_seconds([process]) - before
    if "Non-2xx" in done or " 0 requests" in done:
        raise SystemExit(done)
    requests = int(re.search(r"(\d+) requests in", done)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]), used / requests


if __name__ == "__main__":
    main()
