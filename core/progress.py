"""What a command shows while it works."""

import time

from django.core.management.base import OutputWrapper

BAR_WIDTH = 30
"""Characters."""


class Progress:
    """A progress line that overwrites itself; on terminals only."""

    def __init__(self, stream: OutputWrapper, unit: str) -> None:
        self._unit = unit
        self._stream = stream if stream.isatty() else None
        self._started = time.monotonic()
        self._done = self._total = 0

    def show(self, count: int, total: int) -> None:
        """Show that `count` more of `total` are done."""
        if self._done >= self._total:
            self._done, self._started = 0, time.monotonic()
        self._done, self._total = self._done + count, total
        if self._stream:
            full = BAR_WIDTH * self._done // max(total, 1)
            rate = self._done / max(time.monotonic() - self._started, 0.001)
            bar = "█" * full + "·" * (BAR_WIDTH - full)
            self._write(f"{bar} {self._done:,} of {total:,} {self._unit}, {rate:,.0f}/s")

    def clear(self) -> None:
        if self._stream:
            self._write("")

    def _write(self, line: str) -> None:
        if self._stream:
            self._stream.write(f"\r\x1b[K{line}", ending="")
            self._stream.flush()
