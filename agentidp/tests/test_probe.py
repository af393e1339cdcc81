"""The probe of supervisors waits for a server that starts, but not for one that has ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentidp.env import BASE_DIR

PATIENCE = 60
"""Seconds for a run that waits for nothing."""


@pytest.fixture
def ended() -> str:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def asked(where: Path, seconds: float, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentidp.probe", "--wait", str(seconds), str(where)]
    given = os.environ | environment
    return subprocess.run(
        command, env=given, cwd=BASE_DIR, capture_output=True, text=True, timeout=PATIENCE
    )


def test_a_server_that_has_ended_is_not_waited_for(tmp_path: Path, ended: str) -> None:
    done = asked(tmp_path / "a.sock", 10 * PATIENCE, MAINPID=ended)

    assert (done.returncode, done.stderr) == (1, "The server has ended; its log says why.\n")


def test_one_that_starts_has_its_time(tmp_path: Path) -> None:
    done = asked(tmp_path / "a.sock", 0.5, MAINPID=str(os.getpid()))

    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/a.sock is not ready.\n")
