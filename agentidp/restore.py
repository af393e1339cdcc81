"""Restoring a backup: into an empty database and storage, and only if it is whole."""

import hashlib
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection

from agentidp.backup import (
    DATABASE,
    FILES,
    FORMAT,
    MANIFEST,
    BackupError,
    digest,
    failure,
    find_program,
    run_program,
    some_of,
)
from core.database_roles import OWNER_POLICY
from executions.file_storage import root_problem
from organizations.audit.log import verify_chain
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

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


def require_restorable(folder: Path, *, incomplete: bool = False) -> dict[str, Any]:
    """The manifest of a backup, which must have all files unless it may be `incomplete`. Changes
    nothing.

    Raise BackupError if the backup is damaged or lacks files, or if the database or storage has
    content that a restore would replace.
    """
    if why := root_problem():
        raise BackupError(why)
    manifest = read_manifest(folder)
    if manifest["missingFiles"] and not incomplete:
        raise BackupError(
            f"{folder} is incomplete: the storage did not have {some_of(manifest['missingFiles'])} "
            "when it was made. Nothing was changed: restore another backup, or this one without "
            "them (--incomplete)."
        )
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
    """The manifest of a backup as it was written. Raise BackupError if one of its files is no part
    of it.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        _require_shape(manifest)
        is_whole = manifest["format"] == FORMAT and all(
            digest(folder / name) == manifest["sha256"][name] for name in (DATABASE, FILES)
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
    for name in (*manifest["missingFiles"], *manifest.setdefault("deletedFiles", [])):
        if not FILE_NAME.fullmatch(name):
            raise ValueError(f"a name of a file in {MANIFEST} is malformed")
    for organization, (sequence, event_hash) in manifest["auditHeads"].items():
        UUID(organization)
        bytes.fromhex(event_hash)
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
    command = [find_program("pg_restore"), "--list", str(dump)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BackupError(failure("pg_restore", done.stderr))
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
