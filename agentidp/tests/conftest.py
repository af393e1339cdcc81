"""Folders for PostgreSQL, which may run as another user."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

NewFolder = Callable[[], Path]


@pytest.fixture(scope="session")
def new_folder() -> Iterator[NewFolder]:
    """Makes folders that other users can enter, as the project's own folder normally is.

    pytest's own are not: each of its runs closes the folder above them to others, also for a run
    that is under way.
    """
    with ExitStack() as folders:

        def make() -> Path:
            made = tempfile.TemporaryDirectory(prefix="agentidp-", ignore_cleanup_errors=True)
            path = Path(folders.enter_context(made))
            path.chmod(0o711)
            return path

        yield make
