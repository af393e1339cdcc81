"""What the strict JSON reader costs beside a plain one: `python -m benchmarks.json_reader`.

Processor time of this thread, the least of many tries: the strict reader of every body
(agentidp/parsers.py), Python's own `json.loads`, and orjson, which checks less than either.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress

import orjson
from rest_framework.exceptions import ParseError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")  # asked for on import

from agentidp.parsers import parse_json

LINE = "What an agent says about its work. " * 20
BODIES = {
    "events, one line each": {
        "events": [{"kind": "stdout", "message": LINE, "sequence": n} for n in range(1, 1250)]
    },
    "events, short": {
        "events": [
            {"kind": "stdout", "message": f"step {n} done", "timestamp": 1.5 * n, "sequence": n}
            for n in range(1, 10_000)
        ]
    },
    "events with escapes": {
        "events": [
            {"kind": "result", "message": {"Markdown": {"body": f'{LINE}"ü"\n'}}, "sequence": n}
            for n in range(1, 1150)
        ]
    },
    "names, up to the limit of values": [{f"name {n}": n for n in range(9_990)}] * 5,
    "80,000 names, refused": {f"name {n}": n for n in range(80_000)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=30)
    tries = parser.parse_args().tries
    print("| body | bytes | json | orjson | strict | strict / json |")
    print("| --- | --: | --: | --: | --: | --: |")
    for name, value in BODIES.items():
        body = json.dumps(value).encode()
        plain, fast, strict = fastest(
            tries, lambda b=body: json.loads(b), lambda b=body: orjson.loads(b), strictly(body)
        )
        print(
            f"| {name} | {len(body):,} | {plain:.2f} ms | {fast:.2f} ms | {strict:.2f} ms "
            f"| {strict / plain:.1f} |"
        )


def strictly(body: bytes) -> Callable[[], None]:
    def read() -> None:
        with suppress(ParseError):
            parse_json(body)

    return read


def fastest(tries: int, *readers: Callable[[], object]) -> list[float]:
    """Milliseconds of each, measured in turn: what disturbs one of them disturbs all."""
    best = [float("inf")] * len(readers)
    for _ in range(tries):
        for place, read in enumerate(readers):
            began = time.thread_time()
            read()
            best[place] = min(best[place], (time.thread_time() - began) * 1000)
    return best


if __name__ == "__main__":
    main()
