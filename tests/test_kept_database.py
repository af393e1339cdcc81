"""`--reuse-db` keeps a database between runs, even if tests commit and so empty its tables."""

import os
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from core.database_roles import as_owner

pytestmark = pytest.mark.slow

KEPT = "kept"
TESTS = (
    # Some that commit, which pytest-django runs last, and some that need what migrations and the
    # session's fixtures put into the tables: keys, permissions, the organization of nobody, and an
    # empty queue.
    "tests/test_constraints.py::test_one_address_for_two_agents_at_once",
    "organizations/tests/test_mail.py::test_two_mailed_links_of_one_address_are_opened_at_once",
    "organizations/tests/test_mail.py::test_an_invitation_that_was_refused_is_not_mailed",
    "tokens/tests/test_issue_token.py::test_an_organization_may_choose_rs256",
    "tokens/tests/test_people_sign_in.py::test_a_refused_name_is_not_written_down",
    "tests/test_admin_rights.py::test_a_permission_opens_its_model_only",
)


def run_pytest() -> "subprocess.CompletedProcess[str]":
    urls = {
        name: urlunsplit(urlsplit(os.environ[name])._replace(path=f"/{KEPT}"))
        for name in ("DATABASE_URL", "AGENTIDP_DATABASE_OWNER_URL")
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--reuse-db", *TESTS]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=os.environ | urls, capture_output=True, text=True
    )


def test_runs_after_the_first_find_what_they_need(transactional_db: None) -> None:
    with as_owner(connection):
        parameters = connection.get_connection_params()
    access = {
        name: parameters[name]
        for name in ("user", "host", "port", "password")
        if parameters.get(name)
    }
    connection.close()
    with psycopg.connect(dbname="postgres", autocommit=True, **access) as server:
        server.execute(f'CREATE DATABASE test_{KEPT} TEMPLATE "{parameters["dbname"]}"')
        try:
            runs = [run_pytest() for _ in range(2)]
        finally:
            server.execute(f"DROP DATABASE test_{KEPT} WITH (FORCE)")

    assert [each.returncode for each in runs] == [0, 0], runs[0].stdout + runs[1].stdout
