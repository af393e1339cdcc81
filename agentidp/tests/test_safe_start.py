"""An unsafe configuration does not start, and says why in one line (O14, P34)."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentidp.embedded_postgres import Cluster, find_binaries

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parent.parent.parent
START = "import agentidp.wsgi"
ANSWER = """
from agentidp.wsgi import application
from wsgiref.util import setup_testing_defaults
environ = {"PATH_INFO": "/livez", "HTTP_HOST": "id.example.com", "wsgi.url_scheme": "%s"}
setup_testing_defaults(environ)
application(environ, lambda status, headers: print(status, dict(headers)))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL of this module's own, with the project's tables in it."""
    folder = tmp_path_factory.mktemp("cluster")
    for parent in (folder, folder.parent):
        parent.chmod(0o711)  # PostgreSQL may run as another user
    made = Cluster(folder, find_binaries(), durable=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def production(cluster: Cluster) -> dict[str, str]:
    """A configuration that is good for production."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": cluster.url,
        "AGENTIDP_ENVIRONMENT": "production",
        "AGENTIDP_ISSUER": "https://id.example.com",
    }
    for name in ("SECRET_KEY", "SECRET_PEPPER", "KEY_ENCRYPTION_KEY"):
        environment[f"AGENTIDP_{name}"] = secrets.token_urlsafe(48)
    done = run(environment, "manage.py", "migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return environment


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True
    )


BAD: dict[str, dict[str, str]] = {
    "no secret key": {"AGENTIDP_SECRET_KEY": ""},
    "a short pepper": {"AGENTIDP_SECRET_PEPPER": "short"},
    "a secret of one letter": {"AGENTIDP_KEY_ENCRYPTION_KEY": "a" * 64},
    "an issuer without TLS": {"AGENTIDP_ISSUER": "http://id.example.com"},
    "no issuer": {"AGENTIDP_ISSUER": ""},
    "debug where others reach it": {"AGENTIDP_DEBUG": "true"},
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


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode != 0
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("AgentIdP does not start: ")


def test_a_good_configuration_starts_and_insists_on_tls(production: dict[str, str]) -> None:
    done = run(production, "-c", ANSWER % "https")

    assert done.stdout.startswith("200 OK"), done.stderr
    assert "'Strict-Transport-Security': 'max-age=" in done.stdout
