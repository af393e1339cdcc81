"""The folder for files: a full disk and an unusable folder are clear errors."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.files.storage import default_storage

from agents.tests.factories import make_agent
from conftest import ClientFor
from executions.models import ExecutionFile
from executions.tests.engine import announce, put, report
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope


def test_a_full_disk_is_an_error_and_leaves_no_partial_file(
    organization: Organization,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_for(make_agent(organization))
    upload = announce(client, report(client))
    small = Path("/dev/full")

    def full(*args: Any, **kwargs: Any) -> None:
        with small.open("wb", buffering=0) as device:
            device.write(b"1")  # the system's own error

    with monkeypatch.context() as patch:
        patch.setattr("django.core.files.storage.filesystem.locks.lock", full)
        refused = put(client, upload, b"0123456789")

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    answer = put(client, upload, b"0123456789")
    with organization_scope(organization):
        file = ExecutionFile.objects.get()
    assert answer.json()["isComplete"] is True
    folder = f"executions/{organization.pk}/{file.execution_id}"
    assert default_storage.listdir(folder) == ([], [file.content.name.rpartition("/")[2]])


def test_a_folder_that_cannot_be_used_is_named(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file" / "below"

    warnings = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]

    assert warnings == [f"Files cannot be stored. {tmp_path}/file is not a folder."]


def test_a_file_is_on_the_disk_before_its_row_is_committed(
    organization: Organization, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut its parts are gone from the database, and nothing else has it."""
    client, synced, sync = client_for(make_agent(organization)), {}, os.fsync

    def observed(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced[found.st_ino] = (found.st_size, ExecutionFile.objects.exists())
        sync(descriptor)

    upload = announce(client, report(client))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", observed)
        assert put(client, upload, b"0123456789").status_code == 200

    with organization_scope(organization):
        path = Path(ExecutionFile.objects.get().content.path)
    assert synced[path.stat().st_ino] == (10, False)
    assert [folder for folder in path.parents[:4] if folder.stat().st_ino not in synced] == []
    assert path.parents[3] == Path(settings.MEDIA_ROOT)
