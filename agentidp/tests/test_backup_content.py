"""What is no backup of AgentIdP is refused in one sentence, before anything is restored."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agentidp.backup import DATABASE, FILES, MANIFEST, BackupError
from agentidp.restore import read_manifest

FOLDER = f"executions/{UUID(int=1)}/{UUID(int=2)}"
Change = Callable[[dict[str, Any]], Any]


def archive(folder: Path, name: str, **fields: Any) -> None:
    with tarfile.open(folder / FILES, "w", format=tarfile.PAX_FORMAT) as files:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        for field, value in fields.items():
            setattr(entry, field, value)
        files.addfile(entry, BytesIO(b"abc"))


def manifest(folder: Path) -> dict[str, Any]:
    """Write a manifest that fits the files, and return it."""
    content = {
        "format": 1,
        "version": "0.2.0",
        "issuer": "https://id.example.com",
        "createdAt": "2026-11-30T00:00:00+00:00",
        "files": 1,
        "missingFiles": [],
        "auditHeads": {str(UUID(int=1)): [3, "00" * 32]},
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (DATABASE, FILES)
        },
    }
    (folder / MANIFEST).write_text(json.dumps(content))
    return content


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    (tmp_path / DATABASE).write_bytes(b"PGDMP")
    archive(tmp_path, f"{FOLDER}/report.bin")
    manifest(tmp_path)
    return tmp_path


def test_a_backup_of_ours_is_read(backup: Path) -> None:
    assert read_manifest(backup)["files"] == 1


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (f"{FOLDER}/..", {}),
        (f"{FOLDER}/.", {}),
        (f"{FOLDER}/../x", {}),
        ("/etc/passwd", {}),
        (f"{FOLDER}/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}),
        (
            f"{FOLDER}/sparse",
            {"pax_headers": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000"}},
        ),
    ],
)
def test_an_archive_with_other_entries_is_refused(
    backup: Path, name: str, fields: dict[str, Any]
) -> None:
    archive(backup, name, **fields)
    manifest(backup)

    with pytest.raises(BackupError, match="has an entry that does not belong in a backup"):
        read_manifest(backup)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("auditHeads"),
        lambda content: content.pop("issuer"),
        lambda content: content.update(issuer="\x1b[2J"),
        lambda content: content.update(createdAt=5),
        lambda content: content.update(auditHeads=[]),
        lambda content: content.update(auditHeads={"x": [1, ""]}),
        lambda content: content.update(auditHeads={str(UUID(int=1)): 1}),
        lambda content: content.update(auditHeads={str(UUID(int=1)): ["1", ""]}),
        lambda content: content.update(auditHeads={str(UUID(int=1)): [1, 2]}),
        lambda content: content.update(missingFiles=["\x1b[2J"]),
        lambda content: content.update(deletedFiles=[5]),
        lambda content: content.update(sha256={}),
    ],
)
def test_a_malformed_manifest_is_refused(backup: Path, change: Change) -> None:
    content = manifest(backup)
    change(content)
    (backup / MANIFEST).write_text(json.dumps(content))

    with pytest.raises(BackupError, match="is not a backup: ") as refusal:
        read_manifest(backup)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "5", "\x00"])
def test_a_manifest_that_is_no_object_is_refused(backup: Path, text: str) -> None:
    (backup / MANIFEST).write_text(text)

    with pytest.raises(BackupError, match="is not a backup: "):
        read_manifest(backup)
