"""Ids that sort by creation time (RFC 9562, version 7)."""

import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """A UUIDv7: 48 bits of milliseconds since 1970, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=value | 0b10 << 62 | secrets.randbits(62))
