"""The cost of the strict JSON reader compared with others: `python -m benchmarks.json_reader`.

Compares the processor time, the least of many tries, of the strict reader of every body
(core/parsers.py), Python's own `json.loads`, and orjson, which checks less than either. Exits with
an error if the strict reader takes more than three times as long as Python, or more than 20 ms.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import orjson
from rest_framework.exceptions import ParseError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")  # required on import

from core.parsers import parse_json


def nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth - 1):
        found = [found]
    return found


LINE = "What an agent says about its work. " * 20
MEGABYTE = 1_000_000
MAX_RATIO = 3.0
MAX_MS = 20.0
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
    "80,000 names, refused": {f"n{n}": n for n in range(80_000)},
    "one string": {"text": "x" * MEGABYTE},
    "one string, not of ASCII": json.dumps(
        {"text": "größe" * (MEGABYTE // 7)}, ensure_ascii=False
    ).encode(),
    "one string, escaped to ASCII": {"text": "größe" * (MEGABYTE // 15)},
    "one string of escaped quotes": {"text": '"' * (MEGABYTE // 2)},
    "events, short, with escapes": {
        "events": [
            {"kind": "stdout", "message": f'step "{n}": done\n', "sequence": n}
            for n in range(1, 10_000)
        ]
    },
    "small objects with escapes": [{"a": '"'}] * 16_000,
    "JSON within a string": {
        "text": json.dumps([{"id": n, "name": LINE[:30]} for n in range(13_000)])
    },
    "one string of line ends": {"text": "\n" * (MEGABYTE // 2)},
    "integers of 19 digits": list(range(10**18, 10**18 + 45_000)),
    "numbers with a fraction": [n + 0.123456789012 for n in range(49_000)],
    "numbers with an exponent": [1e-300 + n * 1e-305 for n in range(40_000)],
    "numbers of 100 digits": [10**99 + n for n in range(9_500)],
    "small objects": [{"a": n} for n in range(24_000)],
    "empty lists, up to the limit of values": [[]] * 49_000,
    "depth of 63, often": [nested(63)] * 700,
    "depth of 500,000, refused": b"[" * 500_000 + b"]" * 500_000,
    "a megabyte of numbers, refused": [7] * 330_000,
}


def main() -> None:
    beyond = []
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=30)
    tries = parser.parse_args().tries
    print("| body | bytes | json | orjson | strict | strict / json |")
    print("| --- | --: | --: | --: | --: | --: |")
    for name, value in BODIES.items():
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        plain, fast, strict = fastest(
            tries, plainly(json.loads, body), plainly(orjson.loads, body), strictly(body)
        )
        print(
            f"| {name} | {len(body):,} | {plain:.2f} ms | {fast:.2f} ms | {strict:.2f} ms "
            f"| {strict / plain:.1f} |"
        )
        # Input that a plain reader refuses early has no meaningful ratio.
        if strict > MAX_MS or (strict > MAX_RATIO * plain and not name.endswith("refused")):
            beyond.append(name)
    if beyond:
        sys.exit(f"Beyond the limits: {', '.join(beyond)}")


def plainly(reader: Callable[[bytes], object], body: bytes) -> Callable[[], None]:
    def read() -> None:
        with suppress(ValueError, RecursionError):
            reader(body)

    return read


def strictly(body: bytes) -> Callable[[], None]:
    def read() -> None:
        with suppress(ParseError):
            parse_json(body)

    return read


def fastest(tries: int, *readers: Callable[[], object]) -> list[float]:
    """The least milliseconds of each, measured alternately so that disturbances affect all of
    them.
    """
    best = [float("inf")] * len(readers)
    for _ in range(tries):
        for place, read in enumerate(readers):
            began = time.thread_time()
            read()
            best[place] = min(best[place], (time.thread_time() - began) * 1000)
    return best


if __name__ == "__main__":
    main()
