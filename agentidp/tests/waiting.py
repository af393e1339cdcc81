"""Waits for other processes."""

import time


def until(condition) -> bool:
    """Wait up to ten seconds for a condition that another process fulfils."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())
