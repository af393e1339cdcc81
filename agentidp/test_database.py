"""A pytest plugin: without DATABASE_URL the tests get a PostgreSQL of their own, for this run only.

Loaded with `-p` in pytest.ini, because the address must stand before Django's settings are read.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from agentidp.embedded_postgres import Cluster, EmbeddedPostgresError, find_binaries

caretaker = pytest.StashKey[subprocess.Popen[bytes]]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Start the server before pytest-django, which reads the settings in this same hook."""
    os.environ.setdefault("AGENTIDP_ENVIRONMENT", "test")
    if not os.environ.get("DATABASE_URL"):
        try:
            early_config.stash[caretaker] = _start()
        except EmbeddedPostgresError as error:
            raise pytest.UsageError(str(error)) from None
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait until the server is gone; after a crash of pytest the caretaker sees to it alone."""
    if process := config.stash.get(caretaker, None):
        process.communicate()


def _start() -> subprocess.Popen[bytes]:
    folder = Path(tempfile.mkdtemp(prefix="agentidp-test-"))
    folder.chmod(0o711)  # The server may run as another user; everything inside stays private.
    cluster = Cluster(folder, find_binaries(), durable=False)
    # The caretaker holds the reading end of a pipe. It closes when we end, however we end.
    process = subprocess.Popen(
        [sys.executable, __file__, folder, cluster.bindir],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )
    cluster.start()
    os.environ["DATABASE_URL"] = cluster.url
    return process


if __name__ == "__main__":
    sys.stdin.read()
    Cluster(Path(sys.argv[1]), Path(sys.argv[2]), durable=False).stop()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
