"""The benchmarks run, and the results that they compare are equal."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


def run_small(name: str) -> str:
    """Run the benchmark with --small; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--small"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_rollups_equal_a_recount_of_a_hundred_thousand_events() -> None:
    printed = run_small("analytics")

    assert "rollup rows that differ from a recount: 0" in printed
    assert "| month table |" in printed


@pytest.mark.slow
def test_a_hundred_executions_are_imported_and_nothing_of_them_again() -> None:
    # The script exits with an error if the import is not complete and exact.
    printed = run_small("import_kodosumi")

    assert "| first import |" in printed
    assert "| import with nothing new |" in printed
