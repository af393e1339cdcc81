"""A pytest plugin that provides PostgreSQL when DATABASE_URL is not set.

It is temporary, or with `--reuse-db` one in .data/tests that is kept. Loaded with `-p` in
pytest.ini, because the URL must be set before Django's settings are read.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentidp.devtools.embedded_postgres import DATA_FOLDER, Cluster, owner_url, running
from agentidp.devtools.postgres_binaries import EmbeddedPostgresError, find_binaries

KEPT = DATA_FOLDER / "tests"
caretaker = pytest.StashKey[subprocess.Popen[bytes]]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str]
) -> Generator[None, None, None]:
    """Start the server before pytest-django, which reads the settings in the same hook."""
    os.environ.setdefault("AGENTIDP_ENVIRONMENT", "test")
    if not (os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")):
        try:
            if "--reuse-db" in args:
                early_config.add_cleanup(_keep_running())
            else:
                early_config.stash[caretaker] = _start()
        except EmbeddedPostgresError as error:
            raise pytest.UsageError(str(error)) from None
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait until the server has stopped. If pytest crashes, the caretaker stops it alone."""
    if process := config.stash.get(caretaker, None):
        process.communicate()


def _start() -> subprocess.Popen[bytes]:
    bindir = find_binaries()
    # The caretaker reads from this pipe, which closes when we end, in whatever way.
    process = subprocess.Popen(
        [sys.executable, __file__, bindir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    line = process.stdout.readline() if process.stdout else b""
    folder = os.fsdecode(line.rstrip(b"\n"))
    if not folder:
        raise EmbeddedPostgresError("The tests' database found no place for temporary files.")
    cluster = Cluster(Path(folder), bindir, durable=False)
    cluster.start()
    _set_urls(cluster.url, cluster.owner_url)
    return process


def _keep_running() -> Callable[[], None]:
    """Start the kept server. Returns a function that releases it."""
    stack = ExitStack()
    url = stack.enter_context(running(KEPT, durable=False))
    _set_urls(url, owner_url(KEPT))
    return stack.close


def _set_urls(url: str, owner: str) -> None:
    os.environ["DATABASE_URL"] = url
    os.environ["AGENTIDP_DATABASE_OWNER_URL"] = owner
    for name in ("DATABASE_URL_FILE", "AGENTIDP_DATABASE_OWNER_URL_FILE"):
        os.environ[name] = ""  # or the one from a `.env` would take precedence


def _run_caretaker(bindir: Path) -> None:
    """Create a folder and print its path.

    Stop the server and remove the folder when standard input closes.
    """
    with tempfile.TemporaryDirectory(prefix="agentidp-test-", ignore_cleanup_errors=True) as folder:
        # The server may run as another user; everything inside is private.
        Path(folder).chmod(0o711)
        sys.stdout.buffer.write(os.fsencode(folder) + b"\n")
        sys.stdout.flush()
        sys.stdin.read()
        Cluster(Path(folder), bindir, durable=False).stop()


if __name__ == "__main__":
    _run_caretaker(Path(sys.argv[1]))
