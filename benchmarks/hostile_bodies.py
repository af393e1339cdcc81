"""The cost of requests that are designed to be expensive: `python -m benchmarks.hostile_bodies`.

Sends each of them many times, in sequence and from 20 clients at once, to a server as in the demo
and as in production (`--interface`), and prints for each the server's processor time, the growth of
its memory, and the size of the response. Exits with an error if a limit is exceeded.
"""

import argparse
import sys

from tests.live.deployment import deployed
from tests.live.hostile import (
    AT_ONCE,
    MEGABYTE,
    Attack,
    Front,
    attacks,
    front,
    run_attack,
    send_ordinary_requests,
)
from tests.live.hostile_everywhere import everywhere

TIMES = 200
MAX_MS = 100
MAX_KEPT_BYTES = 20 * MEGABYTE
MAX_ANSWER_BYTES = 64 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interface", choices=["asgi", "wsgi"], action="append")
    parser.add_argument("--times", type=int, default=TIMES, help="of each request")
    parser.add_argument("--only", default="", help="those whose name holds this")
    parser.add_argument("--small", action="store_true", help="does it work at all?")
    arguments = parser.parse_args()
    times = 4 if arguments.small else arguments.times
    broken = []
    with deployed(durable=False, agents=1) as deployment:
        client = deployment.clients[0]
        wanted = attacks(deployment, client) + everywhere(deployment, client)
        wanted = [each for each in wanted if arguments.only in each.name]
        for interface in arguments.interface or ["asgi", "wsgi"]:
            with front(deployment, interface) as server:
                broken += table(server, interface, wanted, times)
    if broken:
        sys.exit(f"Beyond the limits: {', '.join(broken)}")


def table(server: Front, interface: str, wanted: list[Attack], times: int) -> list[str]:
    """Print the table; return the names of the requests that exceed a limit."""
    send_ordinary_requests(server, 20)
    began, broken = server.memory(), []
    print(f"\n{interface}, {times} in a row, {times} at once; {began / MEGABYTE:.0f} MB before\n")
    print("| request | body | status | processor | kept | answer |")
    print("| --- | --: | --: | --: | --: | --: |")
    for attack in wanted:
        cost = run_attack(server, attack, times, max(1, times // AT_ONCE))
        statuses = " ".join(map(str, sorted(cost.statuses)))
        print(
            f"| {attack.name} | {len(attack.body):,} | {statuses} | {cost.cpu_ms:.1f} ms "
            f"| {cost.kept / MEGABYTE:+.1f} MB | {cost.answer:,} |",
            flush=True,
        )
        is_dear = (
            cost.cpu_ms > MAX_MS or cost.kept > MAX_KEPT_BYTES or cost.answer > MAX_ANSWER_BYTES
        )
        if is_dear or not cost.statuses <= set(attack.statuses):
            broken.append(attack.name)
    grown = server.memory() - began
    print(f"\nall together: {grown / MEGABYTE:+.1f} MB")
    return [*broken, interface] if grown > MAX_KEPT_BYTES else broken


if __name__ == "__main__":
    main()
