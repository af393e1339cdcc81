"""A test run gets a temporary database without configuration."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentidp.devtools import test_database
from agentidp.tests.waiting import until

PROJECT = Path(test_database.__file__).parents[2]

TESTS = """
import os, pathlib, psycopg, sys

def test_it():
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        fsync = connection.execute("SHOW fsync").fetchone()[0]
        privileged = connection.execute("SHOW is_superuser").fetchone()[0]
        folder = connection.info.host
    pathlib.Path("seen").write_text(f"{fsync} {privileged} {folder}")
    if number := int(os.environ.get("END_BY_SIGNAL", "0")):
        os.kill(os.getpid(), number)
"""


def run_pytest(folder: Path, **environment: str) -> tuple[int, str]:
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").touch()
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "agentidp.devtools.test_database"],
        cwd=folder,
        env=inherited
        | {"PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("number", [0, signal.SIGINT, signal.SIGKILL])
def test_the_database_is_gone_however_the_run_ends(tmp_path, number):
    run_pytest(tmp_path, END_BY_SIGNAL=str(int(number)))

    fsync, privileged, sockets = (tmp_path / "seen").read_text().split()
    assert fsync == "off"
    assert privileged == "off"
    assert until(lambda: not Path(sockets).parent.exists())


@pytest.mark.parametrize("is_in_a_file", [False, True])
def test_a_database_that_was_named_is_used(tmp_path, is_in_a_file):
    url = "postgres://x@/y?host=/nowhere"
    (tmp_path / "url").write_text(url)
    named = {"DATABASE_URL_FILE": str(tmp_path / "url")} if is_in_a_file else {"DATABASE_URL": url}

    code, output = run_pytest(tmp_path, AGENTIDP_PG_BIN="/nowhere", **named)

    assert code == 1
    # A server of its own would first have needed the binaries, and would have set DATABASE_URL.
    assert ("KeyError: 'DATABASE_URL'" if is_in_a_file else "/nowhere/.s.PGSQL") in output


def test_without_binaries_the_run_ends_with_one_sentence(tmp_path):
    code, output = run_pytest(tmp_path, AGENTIDP_PG_BIN="/nowhere")

    assert code == pytest.ExitCode.USAGE_ERROR
    assert output.startswith("ERROR: AGENTIDP_PG_BIN=/nowhere")
    assert "Traceback" not in output
