"""An unsafe configuration does not start, and the reason is one line."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries
from agentidp.tests.conftest import NewFolder

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parent.parent.parent
START = "import agentidp.wsgi"
SAY_PEPPER = "from django.conf import settings; print(settings.SECRET_PEPPER, end='')"
ANSWER = """
from agentidp.wsgi import application
from wsgiref.util import setup_testing_defaults
environ = {"PATH_INFO": "/livez", "HTTP_HOST": "id.example.com", "wsgi.url_scheme": "%s"}
setup_testing_defaults(environ)
application(environ, lambda status, headers: print(status, dict(headers)))
"""


ABOVE_ALL = ("SUPERUSER", "BYPASSRLS")
TOO_MUCH = {
    "CREATEROLE": "has CREATEROLE",
    "CREATEDB": "has CREATEDB",
    "REPLICATION": "has REPLICATION",
    "IN ROLE agentidp_owner": "is a member of agentidp_owner, which has CREATEDB, owns the",
    "NOINHERIT IN ROLE agentidp_owner": "is a member of agentidp_owner, which has CREATEDB, owns",
    "IN ROLE pg_execute_server_program": "is a member of pg_execute_server_program",
    "IN ROLE pg_write_all_data": "is a member of pg_write_all_data",
}
PRIVILEGED = (*ABOVE_ALL, *TOO_MUCH)


@pytest.fixture(scope="module")
def cluster(new_folder: NewFolder) -> Iterator[Cluster]:
    """A PostgreSQL of this module, with the project's tables and a role for each privilege."""
    made = Cluster(new_folder(), find_binaries(), durable=False)
    made.start()
    made.stop()
    made.execute_offline(
        "".join(
            f"CREATE ROLE {role(privilege)} LOGIN {privilege};\n"
            f"GRANT agentidp_app TO {role(privilege)};\n"
            for privilege in PRIVILEGED
        )
    )
    with (made.data / "pg_hba.conf").open("a") as rules:
        rules.writelines(f"local all {role(privilege)} trust\n" for privilege in PRIVILEGED)
    made.start()
    yield made
    made.stop()


def role(privilege: str) -> str:
    return f"with_{privilege.lower()}".replace(" ", "_")


@pytest.fixture(scope="module")
def production(cluster: Cluster) -> dict[str, str]:
    """A valid production configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": cluster.url,
        "AGENTIDP_ENVIRONMENT": "production",
        "AGENTIDP_ISSUER": "https://id.example.com",
    }
    for name in ("SECRET_KEY", "SECRET_PEPPER", "KEY_ENCRYPTION_KEY"):
        environment[f"AGENTIDP_{name}"] = secrets.token_urlsafe(48)
    owner = {"AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url}
    done = run(environment | owner, "manage.py", "migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return environment


def run(
    environment: dict[str, str], *arguments: str, folder: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


BAD: dict[str, dict[str, str]] = {
    "no secret key": {"AGENTIDP_SECRET_KEY": ""},
    "a short pepper": {"AGENTIDP_SECRET_PEPPER": "short"},
    "a secret of one letter": {"AGENTIDP_KEY_ENCRYPTION_KEY": "a" * 64},
    "a short token for metrics": {"AGENTIDP_METRICS_TOKEN": "guess-me"},
    "an issuer without TLS": {"AGENTIDP_ISSUER": "http://id.example.com"},
    "no issuer": {"AGENTIDP_ISSUER": ""},
    "debug where others reach it": {"AGENTIDP_DEBUG": "true"},
    "a number in words": {"AGENTIDP_TRUSTED_PROXY_HOPS": "one"},
    "an unknown environment": {"AGENTIDP_ENVIRONMENT": "prodution"},
    "no database": {"DATABASE_URL": "postgres://nobody@/nothing?host=/nowhere"},
}


@pytest.mark.parametrize("name", BAD)
def test_it_does_not_start_with(name: str, production: dict[str, str]) -> None:
    assert_refused(run(production | BAD[name], "-c", START))


def test_it_does_not_start_with_one_secret_for_two_things(production: dict[str, str]) -> None:
    same = {"AGENTIDP_SECRET_PEPPER": production["AGENTIDP_SECRET_KEY"]}

    assert_refused(run(production | same, "-c", START))


def test_it_does_not_start_without_its_migrations(
    production: dict[str, str], cluster: Cluster
) -> None:
    empty = {"DATABASE_URL": cluster.url.replace("/agentidp?", "/postgres?")}

    assert_refused(run(production | empty, "-c", START))


def test_it_does_not_start_while_a_setting_switches_triggers_off(
    production: dict[str, str], cluster: Cluster
) -> None:
    def alter(change: str) -> None:
        cluster.stop()
        cluster.execute_offline(f"ALTER ROLE agentidp_app {change};\n")
        cluster.start()

    alter("SET session_replication_role = replica")
    try:
        done = run(production, "-c", START)
    finally:
        alter("RESET session_replication_role")

    assert_refused(done)
    assert "has the setting session_replication_role, which changes how statements" in done.stderr


def test_it_does_not_start_while_the_role_owns_what_the_schema_does_not_have(
    production: dict[str, str], cluster: Cluster
) -> None:
    def execute(statements: str) -> None:
        cluster.stop()
        cluster.execute_offline(statements, "agentidp")
        cluster.start()

    execute("SELECT lo_from_bytea(4711, 'x');\nALTER LARGE OBJECT 4711 OWNER TO agentidp_app;\n")
    try:
        done = run(production, "-c", START)
    finally:
        execute("SELECT lo_unlink(4711);\n")

    assert_refused(done)
    assert "owns the large object 4711 (as that role, run: SELECT lo_unlink(4711))" in done.stderr


@pytest.mark.parametrize("privilege", ABOVE_ALL)
def test_it_does_not_start_as_a_role_that_row_level_security_does_not_bind(
    production: dict[str, str], cluster: Cluster, privilege: str
) -> None:
    url = cluster.url.replace("agentidp_app@", f"{role(privilege)}@")

    done = run(production | {"DATABASE_URL": url}, "-c", START)

    assert_refused(done)
    assert "may bypass row-level security" in done.stderr


@pytest.mark.parametrize("privilege", TOO_MUCH)
def test_it_does_not_start_as_a_role_that_may_do_more_than_it_needs(
    production: dict[str, str], cluster: Cluster, privilege: str
) -> None:
    url = cluster.url.replace("agentidp_app@", f"{role(privilege)}@")

    done = run(production | {"DATABASE_URL": url}, "-c", START)

    assert_refused(done)
    assert f"The database role {role(privilege)} {TOO_MUCH[privilege]}" in done.stderr


def test_it_does_not_start_as_the_owner_of_its_tables(
    production: dict[str, str], cluster: Cluster
) -> None:
    done = run(production | {"DATABASE_URL": cluster.owner_url}, "-c", START)

    assert_refused(done)
    assert "owns the database agentidp" in done.stderr


def test_it_does_not_start_where_it_could_become_the_owner(
    production: dict[str, str], cluster: Cluster
) -> None:
    owner = {"AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url}

    done = run(production | owner, "-c", START)

    assert_refused(done)
    assert "AGENTIDP_DATABASE_OWNER_URL is set" in done.stderr


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [
        ("", "Set AGENTIDP_DATABASE_OWNER_URL for this command"),
        ("agentidp_app@/agentidp", "must name two different roles"),
        ("agentidp_owner@/postgres", "must name the same database"),
    ],
)
def test_it_migrates_as_the_owner_or_not_at_all(
    production: dict[str, str], cluster: Cluster, owner: str, sentence: str
) -> None:
    url = cluster.url.replace("agentidp_app@/agentidp", owner) if owner else ""

    done = run(production | {"AGENTIDP_DATABASE_OWNER_URL": url}, "manage.py", "migrate")

    assert done.returncode != 0
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("create_organization", "--name", "Example", "--owner-email", "ada@example.com"),
        ("rotate_secrets",),
        ("rotate_signing_key",),
    ],
    ids=lambda command: command[0],
)
def test_a_command_says_in_one_line_that_the_database_cannot_be_reached(
    production: dict[str, str], command: tuple[str, ...]
) -> None:
    done = run(production | BAD["no database"], "manage.py", *command)

    assert done.returncode == 1
    assert done.stderr.startswith("The database cannot be reached: connection ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_does_not_migrate_what_belongs_to_another_role(
    production: dict[str, str], cluster: Cluster
) -> None:
    def while_stopped(statement: str) -> None:
        cluster.stop()
        cluster._single_user(cluster.data, statement, database="agentidp")
        cluster.start()

    owner = {"AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url}
    while_stopped("ALTER TABLE agents_agent OWNER TO agentidp_app")

    migrated = run(production | owner, "manage.py", "migrate")
    started = run(production, "-c", START)

    while_stopped("ALTER TABLE agents_agent OWNER TO agentidp_owner")
    again = run(production | owner, "manage.py", "migrate", "--verbosity", "0")
    assert migrated.returncode != 0
    assert migrated.stderr.startswith("Tables of this database belong to agentidp_app")
    assert_refused(started)
    assert "agentidp_app owns the table agents_agent" in started.stderr
    assert (again.returncode, again.stderr) == (0, "")


def into_file(environment: dict[str, str], name: str, path: Path, mode: int) -> dict[str, str]:
    """The configuration with one value in a file, as an editor writes it."""
    path.write_text(f"{environment[name]}\n")
    path.chmod(mode)
    others = {key: value for key, value in environment.items() if key != name}
    return others | {f"{name}_FILE": str(path)}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("AGENTIDP_KEY_ENCRYPTION_KEY", 0o644),
        ("AGENTIDP_SECRET_PEPPER", 0o602),
        ("DATABASE_URL", 0o604),
    ],
)
def test_it_does_not_start_with_a_secret_that_everybody_can_read_or_change(
    production: dict[str, str], tmp_path: Path, name: str, mode: int
) -> None:
    done = run(into_file(production, name, tmp_path / "secret", mode), "-c", START)

    assert_refused(done)
    assert str(tmp_path / "secret") in done.stderr


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_private_file_may_hold_a_secret(
    production: dict[str, str], tmp_path: Path, mode: int
) -> None:
    environment = production
    for name in ("AGENTIDP_SECRET_PEPPER", "AGENTIDP_ISSUER", "DATABASE_URL"):
        environment = into_file(environment, name, tmp_path / name, mode)

    done = run(environment, "-c", f"{START}; {SAY_PEPPER}")

    assert (done.returncode, done.stdout) == (0, production["AGENTIDP_SECRET_PEPPER"]), done.stderr


def test_it_does_not_start_without_the_file_of_a_secret(
    production: dict[str, str], tmp_path: Path
) -> None:
    missing = {"AGENTIDP_SECRET_PEPPER_FILE": str(tmp_path / "nothing")}

    assert_refused(run(production | missing, "-c", START))


def test_a_database_url_from_a_file_means_production_as_well(
    production: dict[str, str], tmp_path: Path
) -> None:
    environment = into_file(production, "DATABASE_URL", tmp_path / "url", 0o600)
    del environment["AGENTIDP_ENVIRONMENT"], environment["AGENTIDP_SECRET_KEY"]

    done = run(environment, "-c", START)

    assert_refused(done)
    assert "AGENTIDP_SECRET_KEY" in done.stderr


def test_it_does_not_start_with_an_env_file_that_everybody_can_read(
    production: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    elsewhere = shutil.ignore_patterns(".*", "node_modules", "staticfiles", "__pycache__")
    shutil.copytree(PROJECT, folder, ignore=elsewhere)
    settings = folder / ".env"
    settings.write_text("".join(f"{name}={value}\n" for name, value in production.items()))
    settings.chmod(0o644)
    everyone = run({"PATH": os.environ["PATH"]}, "-c", START, folder=folder)
    settings.chmod(0o600)

    owner = run({"PATH": os.environ["PATH"]}, "-c", START, folder=folder)

    assert_refused(everyone)
    assert str(settings) in everyone.stderr
    assert owner.returncode == 0, owner.stderr


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode != 0
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("AgentIdP does not start: ")


def test_a_good_configuration_starts_and_insists_on_tls(production: dict[str, str]) -> None:
    done = run(production, "-c", ANSWER % "https")

    assert done.stdout.startswith("200 OK"), done.stderr
    assert "'Strict-Transport-Security': 'max-age=" in done.stdout
