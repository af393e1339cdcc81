"""The folder for files: a full disk and an unusable folder are clear errors."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

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
    assert file.content.name == f"executions/{organization.pk}/{file.execution_id}/{file.pk}"


def test_a_folder_that_cannot_be_used_is_named(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file" / "below"

    warnings = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]

    assert warnings == [f"Files cannot be stored. {tmp_path}/file is not a folder."]
