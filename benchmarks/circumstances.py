"""The line under every result: which commit was measured, when, how often, and what else ran."""

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from benchmarks.machine import PROJECT, family_seconds, machine_seconds, own_seconds


class Circumstances:
    """Starts with the measurement. `ours` are the processes of servers, which still run at its
    end.
    """

    def __init__(self, ours: Sequence[int] = ()) -> None:
        self._ours = ours
        self._before = self._read()

    def _read(self) -> tuple[float, float, float]:
        busy, everything = machine_seconds()
        return busy, everything, own_seconds() + family_seconds(self._ours)

    @property
    def other_load(self) -> float:
        """The share of the machine that other programs have used since the start."""
        busy, everything, own = (
            new - old for new, old in zip(self._read(), self._before, strict=True)
        )
        return min(1.0, max(0.0, (busy - own) / max(everything, 0.01)))


def measured(rounds: int, other_loads: Sequence[float]) -> str:
    """The line; `other_loads` are shares of the machine, one for each part of the measurement."""
    now = datetime.now(UTC)
    return (
        f"measured: commit {commit()}, {now:%Y-%m-%d %H:%M} UTC, {rounds} rounds, "
        f"{os.cpu_count()} processors, other load {median(other_loads):.0%} "
        f"(highest {max(other_loads):.0%})"
    )


def commit() -> str:
    """The commit of the code; "and changes" if the work tree differs from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PROJECT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (
        " and changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    )
