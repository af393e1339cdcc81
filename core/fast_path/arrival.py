"""How long a request waited for a thread."""

import time
from collections.abc import Mapping
from typing import Any

ARRIVED = "agentidp.arrived"
"""The environ key of the time at which the whole request was there, in seconds since 1970."""
LONGEST = 60.0
"""Seconds. A clock that is wrong by more tells nothing."""


def seconds_waited(environ: Mapping[str, Any]) -> float:
    """0 if it is not known when the request arrived."""
    arrived = environ.get(ARRIVED)
    if arrived is None:
        return 0.0
    waited = time.time() - float(arrived)
    return waited if 0 < waited < LONGEST else 0.0


def time_of(text: str) -> float | None:
    """The time in a header of the proxy, if it is one: seconds since 1970 with a fraction."""
    whole, _, fraction = text.partition(".")
    is_number = f"{whole}{fraction}".isdecimal() and text.isascii() and len(text) <= 20
    return float(text) if is_number else None
