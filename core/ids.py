"""Random ids, some of which sort by creation time (RFC 9562, versions 4 and 7).

Asking the system for random bytes lets other threads run, so a busy server would change threads for
every id. These come from a supply that is fetched for many ids at once; secrets do not.
"""

import os
import time
import uuid
from collections import deque

SIZE = 16
IDS_AT_ONCE = 256
VARIANT = 0b10 << 62
BELOW_VARIANT = (1 << 62) - 1

_supply: deque[bytes] = deque()
os.register_at_fork(after_in_child=_supply.clear)  # two processes must never use the same bytes


def random_id() -> uuid.UUID:
    """A UUIDv4: 122 random bits."""
    return uuid.UUID(bytes=_random_bytes(), version=4)


def uuid7() -> uuid.UUID:
    """A UUIDv7: 48 bits of milliseconds since 1970, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    bits = int.from_bytes(_random_bytes())
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 64 & 0xFFF) << 64
    return uuid.UUID(int=value | VARIANT | bits & BELOW_VARIANT)


def _random_bytes() -> bytes:
    try:
        return _supply.pop()
    except IndexError:
        fresh = os.urandom(SIZE * IDS_AT_ONCE)
        _supply.extend(fresh[place : place + SIZE] for place in range(SIZE, len(fresh), SIZE))
        return fresh[:SIZE]
