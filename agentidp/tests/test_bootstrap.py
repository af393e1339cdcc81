"""The installer: what it takes for installed, and which Python it takes."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentidp import bootstrap


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("Django\n")
    return path


def test_an_installed_set_is_not_installed_again(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("demo")

    assert bootstrap.Stamp(tmp_path, "packages", [source]).holds("demo")
    assert not bootstrap.Stamp(tmp_path, "packages", [source]).holds("test")


def test_the_set_for_tests_serves_the_demo_too(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("test")

    assert bootstrap.Stamp(tmp_path, "packages", [source]).holds("demo")


def test_changed_requirements_are_installed(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("test")
    source.write_text("Django\nrequests\n")

    assert not bootstrap.Stamp(tmp_path, "packages", [source]).holds("test")


def test_a_python_that_does_not_run_is_not_taken(tmp_path):
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    shim.chmod(0o755)

    assert bootstrap.works(sys.executable)
    assert not bootstrap.works(shim)
    assert not bootstrap.works(tmp_path / "absent")


def test_an_unknown_set_is_answered_with_the_usage():
    done = subprocess.run(
        [sys.executable, bootstrap.__file__, "everything"], capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == "usage: bootstrap.py [demo|test]\n"
