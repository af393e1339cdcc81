"""Folders for PostgreSQL, which may run as another user."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

NewFolder = Callable[[], Path]


@pytest.fixture(scope="session")
def new_folder() -> Iterator[NewFolder]:
    """Creates folders that other users can enter, like the project's own normally.

    Those of pytest are not: each run closes their parent folder to others, even for a run in
    progress.
    """
    with ExitStack() as folders:

        def make() -> Path:
            made = tempfile.TemporaryDirectory(prefix="agentidp-", ignore_cleanup_errors=True)
            path = Path(folders.enter_context(made))
            path.chmod(0o711)
            return path

        yield make
