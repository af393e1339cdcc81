"""The benchmarks still run, and what they compare is equal."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_rollups_equal_a_recount_of_a_hundred_thousand_events() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.analytics", "--small"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "rollup rows that differ from a recount: 0" in done.stdout
    assert "| month table |" in done.stdout
