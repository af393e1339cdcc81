"""A backup restored into another deployment continues where the first one was."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests

from agentidp.backup import DATABASE
from agentidp.restore import restored_objects
from core.database_roles import OWNER_POLICY, OWNER_POLICY_TABLES
from core.function_protection import declared
from tests.live.deployment import (
    OWNER,
    OWNER_PASSWORD,
    PROJECT,
    Deployment,
    deployed,
    free_port,
    server,
)
from tests.live.fronts import PRODUCTION

pytestmark = pytest.mark.slow

DATABASE_IS_RESTORED = "The database is restored"
CONTENT = b"What the run made, \x00\xff, in whole." * 1000
SECRETS = {name: value for name, value in PRODUCTION.items() if "SECRET" in name or "KEY" in name}
ROLE = "CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data;\n"
DATABASES = (
    "CREATE DATABASE other OWNER agentidp_owner;\nCREATE DATABASE third OWNER agentidp_owner;\n"
    "CREATE DATABASE fourth OWNER agentidp_owner;\nCREATE DATABASE fifth OWNER agentidp_owner;\n"
)
UNREADABLE = "SELECT lo_from_bytea(4711, 'x');\n"
"""A large object of somebody else, which a role for backups may not read."""
REPLACED = "organizations_auditevent_moves_head"
HARM = f"""
    ALTER TABLE agents_agent NO FORCE ROW LEVEL SECURITY;
    CREATE POLICY everything ON agents_agent USING (true);
    ALTER TABLE organizations_auditevent DISABLE TRIGGER organizations_auditevent_append_only;
    DROP TRIGGER {REPLACED} ON organizations_auditevent;
    CREATE OR REPLACE FUNCTION organizations_refuse_change() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN NULL; END'
"""
UNDO = f"""
    ALTER TABLE agents_agent FORCE ROW LEVEL SECURITY;
    DROP POLICY everything ON agents_agent;
    ALTER TABLE organizations_auditevent ENABLE TRIGGER organizations_auditevent_append_only;
    CREATE TRIGGER {REPLACED} AFTER INSERT ON organizations_auditevent
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION organizations_move_audit_head();
    {declared()["organizations_refuse_change"].text}
"""

OWNER_POLICIES = "SELECT tablename::text, roles::text FROM pg_policies WHERE policyname = %s"


@pytest.fixture(scope="module")
def first() -> Iterator[Deployment]:
    """A deployment with an agent's file, and a role for backups."""
    with deployed(durable=False, agents=1, settings=SECRETS) as deployment:
        deployment.cluster.stop()
        deployment.cluster.execute_offline(ROLE + DATABASES)
        deployment.cluster.execute_offline(UNREADABLE, "agentidp")
        with (deployment.cluster.data / "pg_hba.conf").open("a") as rules:
            rules.write("local all backup trust\n")
        deployment.cluster.start()
        yield deployment


@pytest.fixture(scope="module")
def run(first: Deployment) -> str:
    """The URL of an execution with a file; also creates an event in the audit log."""
    person = {"email": OWNER, "password": OWNER_PASSWORD}
    answer = requests.post(f"{first.url}/api/v1/auth/login", json=person, timeout=60)
    assert answer.status_code == 200, answer.text
    owner = {"Authorization": f"Bearer {answer.json()['accessToken']}"}
    agent = {"email": "new@example.com", "agentType": "screener", "version": "1.0.0"}
    agent |= {"capabilities": ["files:read"], "owner": "us", "deploymentEnv": "production"}
    answer = requests.post(f"{first.url}/api/v1/agents", json=agent, headers=owner, timeout=60)
    assert answer.status_code == 201, answer.text
    return run_with_a_file(first)


@pytest.fixture(scope="module")
def made(first: Deployment, run: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups") / "not there yet" / "one"
    done = manage(first, "backup", folder, AGENTIDP_DATABASE_BACKUP_URL=as_role(first, "backup"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{folder}: the database, 1 audit log, 1 file. Keep ")
    return folder


def run_with_a_file(first: Deployment) -> str:
    bearer = token(first.url, first)
    runs = f"{first.url}/api/v1/executions"
    made = requests.post(runs, json={"summary": "A"}, headers=bearer, timeout=60)
    fid: str = made.json()["executionId"]
    file = {"area": "out", "path": "report.bin", "size": len(CONTENT)}
    begun = requests.post(f"{runs}/{fid}/files", json=file, headers=bearer, timeout=60)
    kind = {"Content-Type": "application/octet-stream"}
    path = f"{runs}/{fid}/uploads/{begun.json()['uploadId']}"
    done = requests.put(path, CONTENT, headers=bearer | kind, timeout=60)
    assert done.status_code == 200, done.text
    return fid


def token(url: str, deployment: Deployment) -> dict[str, str]:
    agent = deployment.clients[0]
    answer = requests.post(
        f"{url}/api/v1/token",
        {"grant_type": "client_credentials"},
        auth=(agent.client_id, agent.client_secret),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def as_role(deployment: Deployment, role: str, database: str = "agentidp") -> str:
    url = deployment.cluster.url.replace("agentidp_app@", f"{role}@")
    return url.replace("/agentidp?", f"/{database}?")


def manage(
    deployment: Deployment, *words: object, **settings: str
) -> subprocess.CompletedProcess[str]:
    programs = {"AGENTIDP_PG_BIN": str(deployment.cluster.bindir)}
    environment = deployment.server.environment | programs | settings
    command = [sys.executable, "manage.py", *map(str, words)]
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True)


def elsewhere(deployment: Deployment, database: str, files: Path) -> dict[str, str]:
    """The settings of a deployment with this database and these files."""
    return {
        "DATABASE_URL": as_role(deployment, "agentidp_app", database),
        "AGENTIDP_DATABASE_OWNER_URL": as_role(deployment, "agentidp_owner", database),
        "AGENTIDP_FILES_FOLDER": str(files),
    }


@contextmanager
def serving(deployment: Deployment, settings: Mapping[str, str], log: Path) -> Iterator[str]:
    url = f"http://localhost:{free_port()}"
    environment = deployment.server.environment | settings | {"AGENTIDP_DATABASE_OWNER_URL": ""}
    with server(environment, url, log):
        yield url


def test_a_restored_deployment_issues_tokens_for_the_same_secrets_and_has_the_files(
    first: Deployment, run: str, made: Path, tmp_path: Path
) -> None:
    there = elsewhere(first, "other", tmp_path / "files")

    done = manage(first, "restore", made, **there)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "Restored: 1 file.",
        f"{DATABASE_IS_RESTORED}. Migrating ...",
        "Verified: 1 audit log, intact. Start the servers.",
    ]
    assert f'"{DATABASE_IS_RESTORED}"' in (PROJECT / "docs/how-to/deploy.md").read_text()
    with psycopg.connect(there["AGENTIDP_DATABASE_OWNER_URL"]) as owner:
        found = owner.execute(OWNER_POLICIES, [OWNER_POLICY]).fetchall()
    assert set(found) == {(table, "{agentidp_owner}") for table in OWNER_POLICY_TABLES}
    with serving(first, there, tmp_path / "log") as url:
        bearer = token(url, first)
        file = requests.get(f"{url}/files/{run}/out/report.bin", headers=bearer, timeout=60)
        assert (file.status_code, file.content) == (200, CONTENT)
    again = manage(first, "restore", made, **there)
    assert again.returncode == 1
    assert again.stderr == (
        "CommandError: The database other is not empty. Nothing was changed: restore into a new "
        "one.\n"
    )


def test_a_database_can_be_restored_where_its_former_owner_does_not_exist(
    first: Deployment, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTIDP_PG_BIN", str(first.cluster.bindir))
    restored = restored_objects(made / DATABASE)

    assert " organization_isolation " in restored
    assert OWNER_POLICY not in restored


def test_only_its_account_reads_a_backup(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_existing_data_is_never_overwritten(first: Deployment, made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}

    done = manage(first, "backup", made, AGENTIDP_DATABASE_BACKUP_URL=as_role(first, "backup"))

    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize("role", ["", "agentidp_app", "agentidp_owner"])
def test_no_backup_is_made_as_a_role_that_does_not_see_everything(
    first: Deployment, tmp_path: Path, role: str
) -> None:
    url = as_role(first, role) if role else ""

    done = manage(first, "backup", tmp_path / "two", AGENTIDP_DATABASE_BACKUP_URL=url)

    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def changed(backup: Path, name: str) -> None:
    with (backup / name).open("r+b") as file:
        file.seek(100)
        file.write(b"\x00changed\x00")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda backup, files: changed(backup, "database.dump"), "a checksum differs"),
        (lambda backup, files: changed(backup, "files.tar"), "a checksum differs"),
        (lambda backup, files: (backup / "files.tar").unlink(), "is not a backup"),
        (lambda backup, files: replaced(files), "The storage holds another file as executions/"),
    ],
)
def test_a_restore_that_cannot_be_whole_changes_nothing(
    first: Deployment, made: Path, tmp_path: Path, harm: Callable[[Path, Path], None], sentence: str
) -> None:
    copy, files = tmp_path / "copy", tmp_path / "files"
    shutil.copytree(made, copy)
    shutil.copytree(first.server.environment["AGENTIDP_FILES_FOLDER"], files)
    harm(copy, files)
    before = sorted(path.stat().st_mtime_ns for path in files.rglob("*"))

    there = elsewhere(first, "third", files)
    done = manage(first, "restore", copy, **there)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.stat().st_mtime_ns for path in files.rglob("*")) == before
    assert "[ ] 0001_initial" in manage(first, "showmigrations", "organizations", **there).stdout


def replaced(files: Path) -> None:
    for path in files.rglob("*"):
        if path.is_file():
            path.write_bytes(b"Another")


def test_a_backup_of_an_open_database_is_closed_or_refused(
    first: Deployment, run: str, tmp_path: Path
) -> None:
    there = elsewhere(first, "fourth", tmp_path / "files")
    role = as_role(first, "backup")
    with psycopg.connect(as_role(first, "agentidp_owner"), autocommit=True) as owner:
        owner.execute(HARM)
        try:
            made = manage(first, "backup", tmp_path / "it", AGENTIDP_DATABASE_BACKUP_URL=role)
        finally:
            owner.execute(UNDO)
    assert made.returncode == 0, made.stderr

    done = manage(first, "restore", tmp_path / "it", **there)

    missing = f"The table organizations_auditevent has no trigger {REPLACED}."
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Mended: The table agents_agent shows every organization's rows.",
        "Mended: The table agents_agent has a policy everything, which is not declared.",
        "Mended: The trigger organizations_auditevent_append_only of the table "
        "organizations_auditevent is switched off.",
        f"Not mended: {missing}",
        "Mended: The function organizations_refuse_change is not the one of this release.",
        f"CommandError: {missing} Let a database administrator undo that.",
    ]


def test_nothing_serves_with_the_role_that_reads_everything(
    first: Deployment, tmp_path: Path
) -> None:
    settings = PRODUCTION | {"AGENTIDP_DATABASE_BACKUP_URL": as_role(first, "backup")}
    environment = os.environ | first.server.environment | settings

    started = subprocess.run(
        [sys.executable, "-c", "import agentidp.wsgi"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )

    assert started.returncode == 1
    assert "AGENTIDP_DATABASE_BACKUP_URL is set" in started.stderr


DUMP_AND_DELETE = """#!/bin/sh
{bindir}/pg_dump "$@" || exit
exec {python} -c 'import requests
requests.delete("{url}/outputs", json={{"fid": ["{fid}"]}}, headers={bearer}).raise_for_status()'
"""


def test_a_file_that_is_deleted_while_a_backup_is_made_is_reported(
    first: Deployment, tmp_path: Path
) -> None:
    fid, bearer = run_with_a_file(first), token(first.url, first)
    end = f"{first.url}/api/v1/executions/{fid}/finish"
    requests.post(end, json={"status": "finished"}, headers=bearer, timeout=60).raise_for_status()
    program = tmp_path / "pg_dump"
    program.write_text(
        DUMP_AND_DELETE.format(
            bindir=first.cluster.bindir,
            python=sys.executable,
            url=first.url,
            fid=fid,
            bearer=json.dumps(bearer),
        )
    )
    program.chmod(0o700)
    settings = {"AGENTIDP_DATABASE_BACKUP_URL": as_role(first, "backup")}

    done = manage(first, "backup", tmp_path / "one", AGENTIDP_PG_BIN=str(tmp_path), **settings)

    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    [deleted] = manifest["deletedFiles"]
    assert manifest["missingFiles"] == []
    assert f"Deleted while the backup was made: 1 file (such as {deleted})." in done.stderr


def test_a_backup_without_the_folder_of_files_is_a_failure_and_no_restore_calls_it_verified(
    first: Deployment, run: str, tmp_path: Path
) -> None:
    there = elsewhere(first, "fifth", tmp_path / "files")
    unmounted = {"AGENTIDP_FILES_FOLDER": str(tmp_path / "empty")}
    unmounted["AGENTIDP_DATABASE_BACKUP_URL"] = as_role(first, "backup")

    made = manage(first, "backup", tmp_path / "one", **unmounted)

    [missing] = json.loads((tmp_path / "one" / "manifest.json").read_text())["missingFiles"]
    assert made.returncode == 1
    assert made.stderr == (
        f"CommandError: {tmp_path}/one is incomplete: the storage does not have 1 file (such as "
        f"{missing}), which rows of the database name. Is its folder mounted, or its bucket the "
        "right one?\n"
    )
    refused = manage(first, "restore", tmp_path / "one", **there)
    assert refused.returncode == 1
    assert f"the storage did not have 1 file (such as {missing})" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    accepted = manage(first, "restore", tmp_path / "one", "--incomplete", **there)
    assert accepted.returncode == 0, accepted.stderr
    assert "Verified" not in accepted.stdout
    assert accepted.stdout.endswith(
        f"Incomplete: 1 audit log, intact, but without 1 file (such as {missing}).\n"
    )
