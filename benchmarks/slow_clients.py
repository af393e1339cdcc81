"""How clients that do not read affect others: `python -m benchmarks.slow_clients`.

Measures ordinary requests before, during and after many clients that read nothing of their
responses, on the server as `make demo` runs it and on a production's behind nginx. Prints the 95th
percentile before and during, with its ratio; the memory that a silent client holds, how much of it
stays, and the threads. A warm-up round is not counted. Exits with an error if a limit is exceeded.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from socket import socket
from typing import NamedTuple

from benchmarks.machine import one_of
from benchmarks.targets import (
    FRONTS,
    ORDINARY,
    Memory,
    Target,
    Times,
    ordinary,
    p95,
    running_target,
)
from tests.live.engine import Engine
from tests.live.sockets import is_established, queued_for

MB = 1024**2
FILE = 30 * MB
REQUESTS = 200
MAX_KEPT_SECONDS = 60
MAX_RATIO = 2.0
MAX_HELD_BYTES = 300 * 1024
"""Bytes of memory for each client that does not read."""
WARM_UPS = 96
MAX_KEPT_BYTES = 20 * MB
"""Bytes still held after all have been disconnected."""
LARGEST_STATIC = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


class Request(NamedTuple):
    """A request of a client that does not read. `goes_on` happens in the meantime."""

    path: str
    goes_on: Callable[[], None] = lambda: None
    is_cut: bool = True
    """False for a client that waits for something that does not exist: it is not a slow reader."""


def downloads(engine: Engine) -> Callable[[int], Request]:
    """Downloads of a file of 30 MB."""
    path = engine.upload("big.bin", FILE).removeprefix(engine.url)
    return lambda number: Request(path)


def errors(engine: Engine) -> Callable[[int], Request]:
    """CSV of 3,000 long error messages, 6 MB."""
    for first in range(0, 3000, 400):
        last = min(first + 400, 3000)
        events = [{"kind": "error", "message": f"{n} {'e' * 1_990}"} for n in range(first, last)]
        engine.post(f"executions/{engine.fid}/events", {"events": events})
    return lambda number: Request("/api/dashboard/errors?format=csv&hours=24")


def executions(engine: Engine) -> Callable[[int], Request]:
    """CSV of 2,500 executions with long summaries and tags, 1.6 MB."""
    body = {"summary": "s" * 255, "tags": [f"{n} {'t' * 40}" for n in range(5)]}
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: engine.post("executions", body), range(2_500)))
    return lambda number: Request("/api/dashboard/timeline?format=csv&hours=24")


def static(engine: Engine) -> Callable[[int], Request]:
    """The largest static file of the pages."""
    return lambda number: Request(LARGEST_STATIC)


def streams(engine: Engine) -> Callable[[int], Request]:
    """Streams of a run that has reported 2 MB and goes on to report 4 MB more."""
    run = engine.another()

    def tell() -> None:
        for _ in range(10):
            run.say(6, "z" * 60_000)

    for _ in range(6):
        run.say(6, "z" * 60_000)
    return lambda number: Request(f"/outputs/stream/{run.fid}", tell)


def waiting(engine: Engine) -> Callable[[int], Request]:
    """Requests that wait for runs that do not exist."""
    return lambda number: Request(f"/outputs/main/nothing-{number}", is_cut=False)


KINDS = {each.__name__: each for each in (downloads, errors, executions, static, streams, waiting)}


@dataclass(frozen=True)
class Round:
    """One round of silent clients, from connecting to being disconnected."""

    alone: Times
    opening: Times
    beside: Times
    memory: tuple[Memory, Memory, Memory]
    """Before, during and after."""
    queued: float
    """Bytes that the operating system buffers for each."""
    were_there: int
    """How many were still connected when the ordinary requests had been answered."""
    seconds: float

    def times(self, path: str) -> float:
        return p95(self.beside[path]) / p95(self.alone[path])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", type=one_of(KINDS), help="all, if none is named")
    parser.add_argument("--front", choices=FRONTS, action="append")
    parser.add_argument("--silent", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="one round: does it work at all?")
    arguments = parser.parse_args()
    rounds = 1 if arguments.small else arguments.rounds
    broken = []
    for front in arguments.front or FRONTS:
        with running_target(front) as server:
            engine = server.engine()
            print_head(front, arguments.silent, rounds)
            for kind in arguments.kinds or KINDS:
                request_of = KINDS[kind](engine)
                warm_up(server, engine, request_of)
                if not arguments.small:  # one-time growth is not caused by a client
                    silence(server, engine, request_of, arguments.silent)
                done = [
                    silence(server, engine, request_of, arguments.silent) for _ in range(rounds)
                ]
                broken += [f"{front} {each}" for each in print_row(kind, done, arguments.silent)]
    if broken:
        sys.exit(f"Beyond the limits: {', '.join(broken)}")


def warm_up(server: Target, engine: Engine, request_of: Callable[[int], Request]) -> None:
    """Make every thread serve such a request once, to clients that disconnect early."""
    headers = {"Authorization": f"Bearer {engine.token}"}
    for place in range(WARM_UPS):
        one = request_of(place)
        with server.ask(one.path, headers) as client:
            if one.is_cut:
                client.recv(12)
    with ThreadPoolExecutor(WARM_UPS) as threads:  # all threads of the server get work
        list(threads.map(lambda _: ordinary(engine, 4), range(WARM_UPS)))


def silence(
    server: Target, engine: Engine, request_of: Callable[[int], Request], number: int
) -> Round:
    """Let so many clients connect without reading, and measure ordinary requests in the
    meantime.
    """
    server.wait_until_quiet()
    ordinary(engine, 20)
    alone, before = ordinary(engine, REQUESTS // 2), server.memory()
    headers = {"Authorization": f"Bearer {engine.token}"}
    began = time.monotonic()
    with ExitStack() as stack, ThreadPoolExecutor(1) as threads:
        is_open = False
        opening = threads.submit(ordinary, engine, REQUESTS, lambda: not is_open)
        each = [request_of(place) for place in range(number)]
        clients = [stack.enter_context(server.ask(one.path, headers)) for one in each]
        is_open = True
        found = opening.result()
        each[0].goes_on()
        server.wait_until_quiet()
        beside, during = ordinary(engine, REQUESTS), server.memory()
        queued = statistics.mean(queued_for(client.getsockname()) for client in clients)
        connected = sum(map(is_connected, clients))
        if each[0].is_cut:
            wait_until_cut(clients)
        seconds = time.monotonic() - began
    server.wait_until_quiet()
    again, after = ordinary(engine, REQUESTS // 2), server.memory()
    both = {path: alone[path] + again[path] for path in ORDINARY}
    return Round(both, found, beside, (before, during, after), queued, connected, seconds)


def is_connected(client: socket) -> bool:
    return is_established(client.getsockname())


def wait_until_cut(clients: list[socket]) -> None:
    until = time.monotonic() + MAX_KEPT_SECONDS
    while any(map(is_connected, clients)) and time.monotonic() < until:
        time.sleep(0.2)


def print_head(front: str, silent: int, rounds: int) -> None:
    print(f"\n{front}: {silent} clients that read nothing, median of {rounds} rounds\n")
    print(
        "| what they ask for | p95 of /livez alone, beside | times | p95 of /agents alone, beside "
        "| times | while they open | still there | memory each: RSS, PSS | stays: RSS, PSS "
        "| queued each | threads | seconds |"
    )
    print(f"|---{'|--:' * 11}|")


def print_row(kind: str, rounds: list[Round], silent: int) -> list[str]:
    """Print the row; return the limits that were exceeded."""

    def median(of: Callable[[Round], float]) -> float:
        return statistics.median(map(of, rounds))

    def grown(seen: Memory) -> tuple[int, int]:
        """The growth since before the first round: memory left over by one round is reused by
        the next.
        """
        before = rounds[0].memory[0]
        return seen.resident - before.resident, seen.proportional - before.proportional

    held = [each / silent for each in grown(rounds[0].memory[1])]
    kept = grown(rounds[-1].memory[2])
    cells = [kind]
    for path in ORDINARY:
        alone = median(lambda one, path=path: p95(one.alone[path]))
        beside = median(lambda one, path=path: p95(one.beside[path]))
        cells.append(f"{alone:.1f}, {beside:.1f} ms")
        cells.append(f"{median(lambda one, path=path: one.times(path)):.2f}")
    cells += [
        f"{max(median(lambda one, path=path: p95(one.opening[path])) for path in ORDINARY):.0f} ms",
        f"{min(one.were_there for one in rounds)}",
        f"{held[0] / 1024:.0f}, {held[1] / 1024:.0f} KB",
        f"{kept[0] / MB:+.1f}, {kept[1] / MB:+.1f} MB",
        f"{median(lambda one: one.queued) / 1024:.0f} KB",
        ", ".join(f"{median(lambda one, n=n: one.memory[n].threads):.0f}" for n in range(3)),
        f"{median(lambda one: one.seconds):.0f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)
    limits = {
        f"{kind}: p95": max(median(lambda one, p=p: one.times(p)) for p in ORDINARY) > MAX_RATIO,
        f"{kind}: memory": max(held) > MAX_HELD_BYTES,
        f"{kind}: memory stays": max(kept) > MAX_KEPT_BYTES,
    }
    return [name for name, is_broken in limits.items() if is_broken]


if __name__ == "__main__":
    main()
