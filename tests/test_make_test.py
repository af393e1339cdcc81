"""`make test` runs every test once: no part leaves one out, and no two run the same."""

import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agentidp.env import BASE_DIR


def parts() -> list[tuple[list[Path], list[Path]]]:
    """For each call of pytest by `make test`, the folders it collects from and those it ignores."""
    commands = subprocess.run(
        ["make", "--dry-run", "test"], cwd=BASE_DIR, capture_output=True, text=True, check=True
    ).stdout
    found = []
    for line in commands.splitlines():
        _, is_pytest, arguments = line.partition(" -m pytest ")
        if is_pytest:
            words = shlex.split(arguments)
            folders = [BASE_DIR / word for word in words if not word.startswith("-")]
            ignored = [word.partition("=")[2] for word in words if word.startswith("--ignore=")]
            found.append((folders, [BASE_DIR / folder for folder in ignored]))
    return found


def test_make_test_runs_every_test_file_once(pytestconfig: pytest.Config) -> None:
    runs: Counter[Path] = Counter()
    for folders, ignored in parts():
        # Without a folder pytest collects from all of `testpaths`, and ignores none of them.
        assert folders
        for folder in folders:
            for file in folder.rglob("test_*.py"):
                runs[file] += not any(file.is_relative_to(each) for each in ignored)

    files = {
        file
        for folder in pytestconfig.getini("testpaths")
        for file in (BASE_DIR / folder).rglob("test_*.py")
    }
    assert len(files) > 300
    assert runs == dict.fromkeys(files, 1)
