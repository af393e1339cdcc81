"""Commands that write files refuse to run as root in another account's folder, because that
account could not change the files: agents could not add to a restored run, for example.
"""

import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from agentidp import restore
from agentidp.backup import BackupError
from executions.file_folder import FolderStorage
from organizations.models import Organization
from tests.kodosumi import REAL

NOBODY = 65534
REFUSED = r"^The folder .* belongs to .* Run this command as .*\.$"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of another account, seen by root."""
    path = tmp_path / "files"
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return path


def test_the_folder_says_whose_it_is_before_it_is_made_as_well(folder: Path) -> None:
    for storage in (FolderStorage(location=folder), FolderStorage(location=folder / "new")):
        assert storage.root_problem().startswith(f"The folder {folder} belongs to ")


def test_its_own_account_may_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)

    assert FolderStorage(location=folder).root_problem() == ""


def test_an_import_as_root_writes_nothing(folder: Path, organization: Organization) -> None:
    with override_settings(MEDIA_ROOT=folder), pytest.raises(CommandError, match=REFUSED):
        call_command("import_kodosumi", REAL, organization=organization.slug)

    assert list(folder.iterdir()) == []


def test_a_restore_as_root_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with override_settings(MEDIA_ROOT=folder), pytest.raises(BackupError, match=REFUSED):
        restore.require_restorable(tmp_path)
