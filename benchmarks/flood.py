"""How a flood of anonymous requests affects other callers: `python -m benchmarks.flood`.

For both fronts, it measures ordinary requests alone, and then beside twelve anonymous clients that
send one kind of request without pause. A flood of /livez, the cheapest request, shows the cost of
twelve busy clients on the same machine in any case: the last column is the ratio to it. Exits with
an error if a ratio exceeds its limit.
"""

import argparse
import statistics
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import requests

from benchmarks.targets import FRONTS, ORDINARY, Target, Times, ordinary, p95, running_target
from tests.live.engine import Engine

CLIENTS = 12
REQUESTS = 60
MAX_RATIO = 2.0

Ask = Callable[[requests.Session, str, int], requests.Response]


def reading(path: str) -> Ask:
    return lambda session, url, number: session.get(f"{url}{path}", timeout=60)


def guessing(session: requests.Session, url: str, number: int) -> requests.Response:
    """Guess the password of a different person each time: each costs a hash until the address is
    blocked.
    """
    body = {"email": f"nobody{number}@example.com", "password": "a wrong guess of it"}
    return session.post(f"{url}/api/v1/auth/login", json=body, timeout=60)


FLOODS: dict[str, Ask] = {
    "/livez": reading("/livez"),
    "schema": reading("/api/schema"),
    "readyz": reading("/readyz"),
    "guesses": guessing,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--front", choices=FRONTS, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="one round: does it work at all?")
    arguments = parser.parse_args()
    rounds = 1 if arguments.small else arguments.rounds
    broken = []
    for front in arguments.front or FRONTS:
        with running_target(front) as server:
            engine = server.engine()
            ordinary(engine, 30)
            found: dict[str, list[tuple[Times, Times]]] = {name: [] for name in FLOODS}
            for number in range(rounds):
                for name, ask in FLOODS.items():
                    alone = ordinary(engine, REQUESTS)
                    found[name].append((alone, flooded(server, engine, ask, number)))
            broken += [f"{front} {each}" for each in table(front, found)]
    if broken:
        sys.exit(f"Beyond the limits: {', '.join(broken)}")


def flooded(server: Target, engine: Engine, ask: Ask, first: int) -> Times:
    """The times of ordinary requests while the flood goes on."""
    is_over = threading.Event()

    def flood(place: int) -> None:
        number = (first * CLIENTS + place) * 1_000_000
        with requests.Session() as session:
            while not is_over.is_set():
                number += 1
                with suppress(requests.RequestException):  # any refusal will do
                    ask(session, server.url, number)

    strangers = [threading.Thread(target=flood, args=[place]) for place in range(CLIENTS)]
    for each in strangers:
        each.start()
    try:
        return ordinary(engine, REQUESTS)
    finally:
        is_over.set()
        for each in strangers:
            each.join()


def table(front: str, found: dict[str, list[tuple[Times, Times]]]) -> list[str]:
    """Print the table; return the floods that exceed their limit."""
    print(f"\n{front}: {CLIENTS} strangers, median of the rounds' 95th percentiles\n")
    print("| flood | request | alone | beside it | times | times beside /livez |")
    print("| --- | --- | --: | --: | --: | --: |")
    broken = []
    for path in ORDINARY:

        def beside(name: str, path: str = path) -> float:
            return statistics.median(p95(during[path]) for _, during in found[name])

        for name, rounds in found.items():
            alone = statistics.median(p95(before[path]) for before, _ in rounds)
            times = beside(name) / beside("/livez")
            print(
                f"| {name} | {path} | {alone:.1f} ms | {beside(name):.1f} ms "
                f"| {beside(name) / alone:.2f} | {times:.2f} |",
                flush=True,
            )
            if times > MAX_RATIO:
                broken.append(f"{name} beside {path}")
    return broken


if __name__ == "__main__":
    main()
