"""Backup and restore.

A backup is a folder with a pg_dump of the database, the files of executions, and a manifest of what
a restore must find. It contains no secrets. Files are copied after the database, because a file is
always stored before its row.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from agentidp.devtools import embedded_postgres
from agentidp.env import env
from core.database_roles import OWNER_POLICY
from executions.file_storage import FilesUnavailable, root_problem, storage_problem
from executions.models import ExecutionFile
from organizations.audit.log import verify_chain
from organizations.models import AuditChain, AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

DATABASE, FILES, MANIFEST = "database.dump", "files.tar", "manifest.json"
FORMAT = 1
FILE_NAME = re.compile(r"executions/[0-9a-f-]{36}/[0-9a-f-]{36}/(?!\.{1,2}\Z)[\w.-]+", re.ASCII)
"""The only names under which executions/file_storage.py stores files."""
SHAPE: dict[str, type] = {
    "format": int,
    "version": str,
    "issuer": str,
    "createdAt": str,
    "files": int,
    "missingFiles": list,
    "auditHeads": dict,
    "sha256": dict,
}
FOREIGN_OBJECTS = """
    SELECT count(*) FROM (
        SELECT 'pg_class'::regclass AS kind, oid, relnamespace AS schema FROM pg_class
        UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
        UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
    ) object JOIN pg_namespace ON pg_namespace.oid = object.schema
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = object.kind AND objid = object.oid AND deptype = 'e'
    )
"""


class BackupError(Exception):
    """Why a backup or restore failed, in one sentence."""


def back_up(folder: Path) -> dict[str, Any]:
    """Write a backup into a folder that must not exist yet, and return its manifest."""
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
        run_program("pg_dump", settings.DATABASE_BACKUP, *dump)
        stored, missing = _copy_files(unfinished / FILES)
        manifest = {
            "format": FORMAT,
            "version": settings.VERSION,
            "issuer": settings.ISSUER,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": stored,
            "missingFiles": missing,
            "auditHeads": heads,
            "sha256": {name: _digest(unfinished / name) for name in (DATABASE, FILES)},
        }
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)  # created above
        raise
    return manifest


def require_restorable(folder: Path) -> dict[str, Any]:
    """The manifest of a complete backup. Changes nothing.

    Raise BackupError if the backup is incomplete, or if the database or storage has content that a
    restore would replace.
    """
    if why := root_problem():
        raise BackupError(why)
    manifest = read_manifest(folder)
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN_OBJECTS)
        if cursor.fetchone()[0]:
            raise BackupError(
                f"The database {connection.settings_dict['NAME']} is not empty. Nothing was "
                "changed: restore into a new one."
            )
    for name, content in _stored_files(folder):
        if default_storage.exists(name) and not _is_same(name, content):
            raise BackupError(
                f"The storage holds another file as {name}. Nothing was changed: name an empty "
                "folder or bucket."
            )
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a complete backup. Raise BackupError if one of its files is no part of it."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        _require_shape(manifest)
        is_whole = manifest["format"] == FORMAT and all(
            _digest(folder / name) == manifest["sha256"][name] for name in (DATABASE, FILES)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupError(f"{folder} is not a backup: {error}.") from None
    if not is_whole:
        raise BackupError(f"{folder} has changed since it was written: a checksum differs.")
    for _ in _stored_files(folder):  # before anything is restored
        pass
    return manifest


def _require_shape(manifest: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError if back_up() writes no such manifest."""
    for name, kind in SHAPE.items():
        value: Any = manifest[name]
        if type(value) is not kind or (isinstance(value, str) and not value.isprintable()):
            raise ValueError(f"{name} in {MANIFEST} is malformed")
    for organization, (sequence, digest) in manifest["auditHeads"].items():
        UUID(organization)
        bytes.fromhex(digest)
        if type(sequence) is not int:
            raise ValueError(f"auditHeads in {MANIFEST} is malformed")


def restore_files(folder: Path) -> int:
    """Restore the files into the storage and return their number.

    Files that an interrupted restore has left are identical and are kept.
    """
    restored = 0
    for name, content in _stored_files(folder):
        if not default_storage.exists(name):
            saved = default_storage.save(name, File(content))
            if saved != name:
                raise BackupError(f"The storage took {name} as {saved}.")
        restored += 1
    return restored


def restore_database(folder: Path) -> None:
    """Restore the database in one transaction, owned by the owner.

    `migrate` afterwards grants the privileges and creates the owner's policies.
    """
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    owner: dict[str, Any] = settings.DATABASE_OWNER  # type: ignore[assignment]  # was asked before
    with NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write(restored_objects(folder / DATABASE))
        contents.flush()
        options.append(f"--use-list={contents.name}")
        run_program("pg_restore", owner, *options, str(folder / DATABASE))


def restored_objects(dump: Path) -> str:
    """The dump's table of contents without the policies of its owner, who may not exist here."""
    command = [_find("pg_restore"), "--list", str(dump)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BackupError(_failure("pg_restore", done.stderr))
    lines = done.stdout.splitlines(keepends=True)
    return "".join(line for line in lines if f" {OWNER_POLICY} " not in line)


def broken_audit_logs(manifest: dict[str, Any]) -> list[str]:
    """The problems of the audit logs, one sentence each.

    Each log must reach at least as far as when the backup began.
    """
    problems = []
    for organization in Organization.objects.order_by("id"):
        sequence, expected_hash = manifest["auditHeads"].get(str(organization.pk), (0, ""))
        with organization_scope(organization):
            result = verify_chain(organization)
            events = AuditEvent.objects.for_organization(organization)
            event = events.filter(sequence=sequence).first()
        if not result.is_intact:
            problems.append(f"The audit log of {organization.slug} is broken: {result}")
        elif sequence and (event is None or bytes(event.hash).hex() != expected_hash):
            problems.append(
                f"The audit log of {organization.slug} has a different event {sequence} than "
                "when the backup was made."
            )
    restored = set(map(str, Organization.objects.values_list("id", flat=True)))
    problems += [
        f"Organization {one} is missing." for one in manifest["auditHeads"].keys() - restored
    ]
    return problems


def run_program(program: str, access: dict[str, Any], *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the database, with the password in its environment.

    Raise BackupError if it fails.
    """
    of_libpq = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"options"}
    words = {name: value for name, value in access.get("OPTIONS", {}).items() if name in of_libpq}
    fields = {"dbname": "NAME", "user": "USER", "host": "HOST", "port": "PORT"}
    words = {key: str(access[name]) for key, name in fields.items() if access.get(name)} | words
    password = {"PGPASSWORD": access["PASSWORD"]} if access.get("PASSWORD") else {}
    command = [_find(program), f"--dbname={make_conninfo(**words)}", *arguments]
    done = subprocess.run(command, env=os.environ | password, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BackupError(_failure(program, done.stderr))


def _failure(program: str, complaints: str) -> str:
    lines = complaints.strip().splitlines() or ["no error message"]
    return f"{program} failed: {' '.join(lines[:3])}"


def _find(program: str) -> str:
    """The path of the program: from the project's own PostgreSQL, or else from PATH."""
    folder = env.text("AGENTIDP_PG_BIN", default="")
    if not folder and not env.text("DATABASE_URL", default=""):
        folder = str(embedded_postgres.find_binaries())
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


def _copy_files(target: Path) -> tuple[int, list[str]]:
    """Archive the files that rows refer to. Returns their number and the names of missing ones."""
    stored, missing = 0, []
    with tarfile.open(target, "w") as archive:
        for organization in Organization.objects.order_by("id"):
            with organization_scope(organization):
                rows = ExecutionFile.objects.for_organization(organization).order_by("id")
                names = list(rows.values_list("content", flat=True))
            for name in names:
                try:
                    with default_storage.open(name, "rb") as content:
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = content.size, 0o600
                        archive.addfile(entry, content)
                except FileNotFoundError:
                    missing.append(name)
                    continue
                stored += 1
    return stored, missing


def _stored_files(folder: Path) -> Iterator[tuple[str, Any]]:
    with tarfile.open(folder / FILES) as archive:
        for entry in archive:
            # A sparse entry can be many times larger than the archive.
            is_plain = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()
            if not is_plain or not FILE_NAME.fullmatch(entry.name):
                raise BackupError(
                    f"{FILES} has an entry that does not belong in a backup: {entry.name!r}."
                )
            yield entry.name, archive.extractfile(entry)


def _is_same(name: str, content: Any) -> bool:
    with default_storage.open(name, "rb") as stored:
        here = hashlib.file_digest(stored, "sha256").digest()
        return bool(here == hashlib.file_digest(content, "sha256").digest())


def _digest(path: Path) -> str:
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
