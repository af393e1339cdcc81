"""The product as it was at an earlier commit, with the versions of other packages of that time."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import PROJECT, WORK, virtual_environment


@contextmanager
def checked_out(commit: str) -> Iterator[tuple[Path, Path]]:
    """A folder with the code of that commit, and an interpreter that has what it requires."""
    folder = WORK / "before"
    git = ["git", "-C", str(PROJECT), "worktree"]
    subprocess.run([*git, "remove", "--force", folder], capture_output=True)
    subprocess.run([*git, "add", "--detach", folder, commit], check=True, capture_output=True)
    try:
        required, versions = folder / "requirements.txt", folder / "constraints.txt"
        python = virtual_environment(f"before-{commit}", required, constraints=versions)
        yield folder, python
    finally:
        subprocess.run([*git, "remove", "--force", folder], capture_output=True)
