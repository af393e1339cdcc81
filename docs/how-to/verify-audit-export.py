#!/usr/bin/env python3
"""Verify an exported audit log: python3 verify-audit-export.py export.jsonl [head hash]

Needs nothing but Python 3. Ends with 0 if every line is as it was exported, else with 1 and the
place. The form of the lines is described in docs/reference/audit.md.
"""

import hashlib
import json
import sys
from collections.abc import Iterable

FIRST_HASH = "00" * 32


def canonical(value: dict[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def first_problem(lines: Iterable[str], head: str | None = None) -> str | None:
    """The first thing that does not fit, in words; None if the log is untouched."""
    previous_hash = sequence = None
    for number, line in enumerate(filter(None, lines), 1):
        try:
            event = json.loads(line)
            is_as_written = line == canonical(event)  # so each name is there once
            stated, previous = event.pop("hash"), event.pop("previousHash")
            here = f"line {number}, event {event['sequence']}"
            is_as_written &= previous == bytes.fromhex(previous).hex()
            hashed = bytes.fromhex(previous) + canonical(event).encode()
            computed = hashlib.sha256(hashed).hexdigest()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return f"line {number}: this is not an event"
        if sequence is None and event["sequence"] == 1 and previous != FIRST_HASH:
            return f"{here}: it does not begin the log"
        if sequence is not None and event["sequence"] != sequence + 1:
            return f"{here}: it should be event {sequence + 1}; something is missing or misplaced"
        if previous_hash is not None and previous != previous_hash:
            return f"{here}: it does not follow the event before it"
        if computed != stated or not is_as_written:
            return f"{here}: it was changed"
        previous_hash, sequence = stated, event["sequence"]
    if previous_hash is None:
        return "there is no event"
    if head is not None and head != previous_hash:
        return "the end of the log is not the head that you noted"
    return None


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", newline="\n") as file:
        problem = first_problem((line.rstrip("\n") for line in file), *sys.argv[2:3])
    print(f"BROKEN: {problem}" if problem else "Intact.")
    sys.exit(1 if problem else 0)
