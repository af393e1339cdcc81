"""Backups, which restore.py restores.

A backup is a folder with a pg_dump of the database, the files of executions, and a manifest of what
a restore must find. It contains no secrets. Files are copied after the database, because a file is
always stored before its row. They are those of the database as it was dumped: one that is deleted
before it is copied is reported. One that is missing although its row is still there makes the
backup incomplete, which is a failure.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import default_storage
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from agentidp.devtools.postgres_binaries import find_binaries
from agentidp.env import env
from core.formatting import counted
from executions.file_storage import FilesUnavailable, storage_problem
from organizations.models import AuditChain, Organization
from organizations.tenancy.scope import organization_scope

DATABASE, FILES, MANIFEST = "database.dump", "files.tar", "manifest.json"
FORMAT = 1


class BackupError(Exception):
    """Why a backup or restore failed, in one sentence."""


def back_up(folder: Path) -> dict[str, Any]:
    """Write a backup into a folder that must not exist yet, and return its manifest.

    It is incomplete if `missingFiles` are among those that it should have.
    """
    if settings.DATABASE_BACKUP is None:
        raise ImproperlyConfigured(
            "Set AGENTIDP_DATABASE_BACKUP_URL for this command: the other roles see the rows of no "
            "organization. docs/how-to/deploy.md describes how to create a role for backups."
        )
    if os.path.lexists(folder):
        raise BackupError(f"{folder} already exists. Name a folder that does not exist yet.")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir(mode=0o700)
    except FileExistsError:
        raise BackupError(
            f"{unfinished} is in the way: another backup is being written, or one was interrupted. "
            "If none is, remove it."
        ) from None
    try:
        heads = {str(row.organization_id): [row.sequence, row.hash] for row in _heads()}
        # -B: no large objects. AgentIdP has none, and one of somebody else cannot be read.
        dump = ["-B", "--format=custom", "--lock-wait-timeout=60s"]
        dump.append(f"--file={unfinished / DATABASE}")
        with TemporaryFile("w+", encoding="utf-8") as names:
            with snapshot(settings.DATABASE_BACKUP) as database:
                [key] = database.execute("SELECT pg_export_snapshot()").fetchone() or [""]
                run_program("pg_dump", settings.DATABASE_BACKUP, *dump, f"--snapshot={key}")
                _write_names(database, names)
            names.seek(0)
            stored, absent = _copy_files(unfinished / FILES, (name.rstrip() for name in names))
        missing = _still_named(settings.DATABASE_BACKUP, absent)
        manifest = {
            "format": FORMAT,
            "version": settings.VERSION,
            "issuer": settings.ISSUER,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": stored,
            "missingFiles": missing,
            "deletedFiles": sorted(set(absent) - set(missing)),
            "auditHeads": heads,
            "sha256": {name: digest(unfinished / name) for name in (DATABASE, FILES)},
        }
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)  # created above
        raise
    return manifest


def run_program(program: str, access: dict[str, Any], *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the database, with the password in its environment.

    Raise BackupError if it fails.
    """
    password = {"PGPASSWORD": access["PASSWORD"]} if access.get("PASSWORD") else {}
    command = [find_program(program), f"--dbname={_address(access)}", *arguments]
    done = subprocess.run(command, env=os.environ | password, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BackupError(failure(program, done.stderr))


def _address(access: dict[str, Any]) -> str:
    """The database as libpq names it, without the password."""
    of_libpq = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"options"}
    words = {name: value for name, value in access.get("OPTIONS", {}).items() if name in of_libpq}
    fields = {"dbname": "NAME", "user": "USER", "host": "HOST", "port": "PORT"}
    words = {key: str(access[name]) for key, name in fields.items() if access.get(name)} | words
    return make_conninfo(**words)


def failure(program: str, complaints: str) -> str:
    lines = complaints.strip().splitlines() or ["no error message"]
    return f"{program} failed: {' '.join(lines[:3])}"


def find_program(program: str) -> str:
    """The path of the program: from the project's own PostgreSQL, or else from PATH."""
    folder = env.text("AGENTIDP_PG_BIN", default="")
    if not folder and not env.text("DATABASE_URL", default=""):
        folder = str(find_binaries())
    path = shutil.which(program, path=folder or None)
    if path is None:
        raise BackupError(
            f"There is no {program} {f'in {folder}' if folder else 'on PATH'}. Install the client "
            "programs of PostgreSQL, at least as new as the server, or name their folder in "
            "AGENTIDP_PG_BIN."
        )
    return path


def _heads() -> Iterator[Any]:
    for organization in Organization.objects.order_by("id"):
        with organization_scope(organization):
            head = AuditChain.objects.filter(organization=organization).first()
        if head is not None:
            head.hash = bytes(head.hash).hex()
            yield head


@contextmanager
def snapshot(access: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """A connection that sees the database as it is now, whatever is deleted meanwhile."""
    password = {"password": access["PASSWORD"]} if access.get("PASSWORD") else {}
    try:
        with psycopg.connect(_address(access), **password) as database:
            database.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield database
    except psycopg.OperationalError as error:
        raise BackupError(failure("The backup", str(error))) from None


def _write_names(database: psycopg.Connection, names: IO[str]) -> None:
    """Write the name of each stored file on a line of its own; no name has a line break."""
    with database.cursor("names") as cursor:
        cursor.execute("SELECT content FROM executions_executionfile ORDER BY organization_id, id")
        names.writelines(f"{name}\n" for (name,) in cursor)


def _copy_files(target: Path, names: Iterable[str]) -> tuple[int, list[str]]:
    """Archive these files of the storage. Returns their number and the names of absent ones."""
    stored, absent = 0, []
    with tarfile.open(target, "w") as archive:
        for name in names:
            try:
                with default_storage.open(name, "rb") as content:
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = content.size, 0o600
                    archive.addfile(entry, content)
            except FileNotFoundError:
                absent.append(name)
                continue
            stored += 1
    return stored, absent


def _still_named(access: dict[str, Any], absent: list[str]) -> list[str]:
    """Those of the names that rows of the database have now: rows go before their files."""
    if not absent:
        return []
    with snapshot(access) as database:
        found = database.execute(
            "SELECT content FROM executions_executionfile WHERE content = ANY(%s)", [absent]
        )
        return sorted(name for (name,) in found)


def some_of(names: list[str]) -> str:
    """The number of these files and one of their names."""
    return f"{counted(len(names), 'files')} (such as {names[0]})"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn every failure that an operator can fix into a CommandError."""
    from django.core.management.base import CommandError

    try:
        yield
    except FilesUnavailable as error:
        raise CommandError(storage_problem() or error.message) from None
    except (BackupError, OSError, tarfile.TarError) as error:
        raise CommandError(str(error)) from None
