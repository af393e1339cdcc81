"""Waiting for what another process does."""

import time


def until(condition) -> bool:
    """Wait up to ten seconds for something another process does."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())
