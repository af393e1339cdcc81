"""Hostile folders, which anyone who runs flows can create, do not make the importer read other
files, and odd names and users do not prevent the rest from being imported.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionFile,
    ExecutionUser,
)
from importers.kodosumi import folders
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tests.kodosumi import dump, import_folder
from tests.spooler import (
    USER,
    fid_of,
    write_execution,
)

GOOD = fid_of(1)


def test_folders_with_other_names(organization: Organization, data: Path) -> None:
    write_execution(data, "not-an-object-id_1")
    write_execution(data, fid_of(3), user="guest")
    write_execution(data, fid_of(4), user=USER.replace("-", "").upper())
    write_execution(data, fid_of(5), user="\udcff\x1b[31m" + "u" * 200)
    write_execution(data, "x" * 65)
    write_execution(data, "ünï")
    write_execution(data, "a b")
    (data / "execution" / "file").write_text("no folder")
    (data / "execution" / "link").symlink_to(data / "execution" / USER)
    (data / "execution" / USER / GOOD).symlink_to(data / "execution" / "guest" / fid_of(3))

    summary = import_folder(data, organization)

    assert "4 new" in summary
    assert "5 problems" in summary
    assert "execution/link is a symbolic link" in summary
    assert f"execution/{USER}/{GOOD} is a symbolic link" in summary
    assert "a b is not named as an execution is" in summary
    assert "\x1b" not in summary
    with organization_scope(organization):
        users = {
            execution.fid: execution.user.name
            for execution in Execution.objects.select_related("user")
            if execution.user
        }
        assert ExecutionUser.objects.count() == 3
    assert users == {
        "not-an-object-id_1": "ada",
        fid_of(3): "guest",
        fid_of(4): "ada",
        fid_of(5): "\ufffd\x1b[31m" + "u" * 144,
    }


def test_the_same_id_under_two_users(organization: Organization, data: Path) -> None:
    write_execution(data, GOOD)
    write_execution(data, GOOD, user="f" + USER[1:])

    first = import_folder(data, organization)
    before = dump(organization)
    second = import_folder(data, organization)

    assert "1 new" in first
    for summary in (first, second):
        assert f"f{USER[1:]}/{GOOD} has the id of another execution" in summary
    assert dump(organization) == before


ANOTHER = "f" + USER[1:]


def archive(data: Path, fid: str, user: str) -> None:
    folder = data / "execution" / user / fid
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sqlite3.db").unlink(missing_ok=True)
    (folder / "sqlite3.db.archive").write_bytes(b"")


def executions_of(organization: Organization) -> dict[str, str]:
    with organization_scope(organization):
        return {
            execution.fid: str(execution.user.external_id)
            for execution in Execution.objects.select_related("user")
            if execution.user
        }


def test_a_foreign_archive_keeps_no_run_out(organization: Organization, data: Path) -> None:
    """It is read before the run of the same id is ever imported."""
    archive(data, GOOD, user=ANOTHER)
    first = import_folder(data, organization)
    write_execution(data, GOOD)

    second = import_folder(data, organization)

    assert "1 execution looked at: 0 new, 0 changed, 0 deleted" in first
    assert "2 executions looked at: 1 new" in second
    assert executions_of(organization) == {GOOD: USER}
    with organization_scope(organization):
        assert not DeletedExecution.objects.exists()


@pytest.mark.parametrize("user", ["00" + USER[2:], ANOTHER], ids=["before", "after"])
def test_a_foreign_archive_deletes_no_run(
    organization: Organization, data: Path, user: str
) -> None:
    write_execution(data, GOOD)
    archive(data, GOOD, user=user)
    import_folder(data, organization)

    summary = import_folder(data, organization)

    assert f"execution/{user}/{GOOD} has the id of another execution" in summary
    assert executions_of(organization) == {GOOD: USER}


def test_a_run_with_the_id_of_a_deleted_one_of_somebody_else_is_a_problem(
    organization: Organization, data: Path
) -> None:
    write_execution(data, GOOD, user=ANOTHER)
    import_folder(data, organization)
    archive(data, GOOD, user=ANOTHER)
    import_folder(data, organization)
    write_execution(data, GOOD)

    summary = import_folder(data, organization)

    assert "1 deleted earlier" in summary
    assert "1 problem:" in summary
    assert f"execution/{USER}/{GOOD} has the id of another execution" in summary


def test_only_regular_files_inside_the_folder_are_imported(
    organization: Organization, data: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    out = write_execution(data, GOOD) / "out"
    (out / "deep").mkdir(parents=True)
    (out / "deep" / "report.txt").write_text("fine")
    (out / "new\nline\\..").write_text("fine too")
    (out / os.fsdecode(b"\xff.txt")).write_text("not UTF-8")
    (out / os.fsdecode(b"\xfe.txt")).write_text("and neither this")
    (out / "link").symlink_to(secret / "key")
    (out / "deep" / "folder").symlink_to(secret)
    (out / "broken").symlink_to("nowhere")
    os.mkfifo(out / "pipe")
    with (out / "sparse").open("wb") as file:
        file.truncate(4 << 40)
    folder = out
    for _ in range(40):
        folder = folder / "x"
        folder.mkdir()
    (folder / "deepest").touch()

    summary = import_folder(data, organization)

    with organization_scope(organization):
        files = {file.path: file for file in ExecutionFile.objects.all()}
        assert set(files) == {"deep/report.txt", "new\nline\\..", "\ufffd.txt"}
        names = [file.content.name for file in files.values()]
        execution = Execution.objects.get()
    assert all("\n" not in name and "\\" not in name and ".." not in name for name in names)
    assert execution.download_count == 2
    for path, what in {
        "out/link": "is a symbolic link",
        "out/deep/folder": "is a symbolic link",
        "out/broken": "is a symbolic link",
        "out/pipe": "is not a regular file",
        "out/sparse": "is larger than 1,073,741,824 bytes",
        "out/\\udcff.txt": "has the same readable name as another file",
    }.items():
        assert f"{GOOD}/{path} {what}" in summary
    assert "lies deeper than 32 folders" in summary


@pytest.mark.parametrize("area", ["in", "out"])
def test_the_area_itself_may_be_a_link(
    organization: Organization, data: Path, tmp_path: Path, area: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    (write_execution(data, GOOD) / area).symlink_to(tmp_path)

    summary = import_folder(data, organization)

    assert f"{GOOD}/{area} is not a real folder" in summary
    with organization_scope(organization):
        assert not ExecutionFile.objects.exists()


def test_too_many_files(
    organization: Organization, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 5)
    out = write_execution(data, GOOD) / "out"
    out.mkdir()
    for number in range(9):
        (out / f"{number}.txt").touch()

    summary = import_folder(data, organization)

    assert f"{GOOD} holds more than 5 files; the rest was left out" in summary
    with organization_scope(organization):
        assert ExecutionFile.objects.count() == 5


def test_files_follow_the_source(organization: Organization, data: Path) -> None:
    folder = write_execution(data, GOOD)
    for area in ("in", "out"):
        (folder / area).mkdir()
        for name in ("same", "changed", "removed"):
            (folder / area / name).write_text(name)
    import_folder(data, organization)
    with organization_scope(organization):
        before = {str(file): file.pk for file in ExecutionFile.objects.all()}

    for area in ("in", "out"):
        (folder / area / "changed").write_text("changed more")
        (folder / area / "removed").unlink()
        (folder / area / "new").write_text("new")
    summary = import_folder(data, organization)

    assert "4 new files, 2 files removed" in summary
    with organization_scope(organization):
        after = {str(file): file for file in ExecutionFile.objects.all()}
        execution = Execution.objects.get()
    assert sorted(after) == sorted(
        f"{area}/{name}" for area in ("in", "out") for name in ("same", "changed", "new")
    )
    assert after["in/same"].pk == before["in/same"]
    with after["out/changed"].content.open("rb") as content:
        assert content.read() == b"changed more"
    assert (execution.upload_count, execution.download_count) == (3, 3)


ROLES = {
    "missing": lambda path: path.unlink(),
    "text": lambda path: path.write_text("no database"),
    "link": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    "no table": lambda path: (path.unlink(), sqlite3.connect(path).close()),
}


@pytest.mark.parametrize("spoil", ROLES.values(), ids=list(ROLES))
def test_without_readable_roles_users_are_named_by_their_folders(
    organization: Organization, data: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(data / "admin.db")
    write_execution(data, GOOD)

    summary = import_folder(data, organization)

    assert "1 new" in summary
    assert "\n  admin.db " in summary
    with organization_scope(organization):
        user = ExecutionUser.objects.get()
    assert (user.name, str(user.external_id), user.email) == (USER, USER, "")


def test_odd_roles(organization: Organization, data: Path) -> None:
    keys = [f"{number:032x}" for number in range(5)]
    with closing(sqlite3.connect(data / "admin.db")) as database:
        database.execute("DROP TABLE roles")
        database.execute("CREATE TABLE roles (id, name, password)")
        database.executemany(
            "INSERT INTO roles VALUES (?, ?, 'secret')",
            [
                (keys[0], "n" * 500),
                (keys[1], b"a\x00b"),
                (bytes.fromhex(keys[2]), None),
                (keys[3], "twice"),
                (keys[3], "twice again"),
                ("no id", "nobody"),
                (None, "nobody"),
                (7, "nobody"),
            ],
        )
        database.commit()

    summary = import_folder(data, organization)

    assert "problems" not in summary
    with organization_scope(organization):
        names = set(ExecutionUser.objects.values_list("name", flat=True))
    assert names == {
        "n" * 150,
        "a\ufffdb",
        "00000000-0000-0000-0000-000000000002",
        "twice again",
    }


def test_roles_with_addresses_that_are_none(organization: Organization, data: Path) -> None:
    with closing(sqlite3.connect(data / "admin.db")) as database:
        database.executemany(
            "INSERT INTO roles VALUES (?, 'x', ?)",
            [
                (f"{number:032x}", email)
                for number, email in enumerate(["", "x" * 900, None, "a@b"])
            ],
        )
        database.commit()

    import_folder(data, organization)

    with organization_scope(organization):
        emails = set(ExecutionUser.objects.values_list("email", flat=True))
    assert emails == {"", "ada@example.com"}
