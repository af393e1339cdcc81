"""Statements of requests are cancelled after a limit, with a clear error; other work is not
limited.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import requests

from tests.live.deployment import PROJECT, Deployment, deployed

pytestmark = pytest.mark.slow

LIMIT = {"AGENTIDP_STATEMENT_TIMEOUT": "400ms"}


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1, settings=LIMIT) as deployment:
        yield deployment


@contextmanager
def nobody_reads(running: Deployment, table: str) -> Iterator[None]:
    """Lock the table during the block, so that every statement that needs it waits."""
    with psycopg.connect(running.cluster.owner_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def ask_for_token(running: Deployment) -> requests.Response:
    client = running.clients[0]
    return requests.post(
        f"{running.url}/api/v1/token",
        data={"grant_type": "client_credentials"},
        auth=(client.client_id, client.client_secret),
        timeout=30,
    )


def test_a_statement_that_takes_too_long_is_a_clear_503_everywhere(running: Deployment) -> None:
    bearer = {"Authorization": f"Bearer {ask_for_token(running).json()['access_token']}"}
    page = {"Accept": "text/html"}

    with nobody_reads(running, "agents_agent, organizations_invitation"):
        api = requests.get(f"{running.url}/api/v1/agents", headers=bearer, timeout=30)
        panel = requests.get(f"{running.url}/timeline/list?q=a", headers=bearer, timeout=30)
        token = ask_for_token(running)
        shown = requests.get(f"{running.url}/invitations/{SOME_LINK}", headers=page, timeout=30)

    for answer in (api, panel, shown):
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 10
    assert api.json()["code"] == panel.json()["code"] == "QUERY_TIMEOUT"
    assert "took too long" in api.json()["message"]
    assert "took too long" in shown.text
    assert (token.status_code, token.json()["error"]) == (503, "temporarily_unavailable")
    assert requests.get(f"{running.url}/api/v1/agents", headers=bearer, timeout=30).ok


def test_the_time_of_searches_that_end_without_an_answer_counts(running: Deployment) -> None:
    """Six seconds a minute are fifteen searches of 400 ms."""
    bearer = {"Authorization": f"Bearer {ask_for_token(running).json()['access_token']}"}
    statuses = []

    with nobody_reads(running, "executions_execution"):
        for _ in range(17):
            path = "/timeline/changes?since=1&q=a" if len(statuses) % 2 else "/timeline?q=a"
            answer = requests.get(f"{running.url}{path}", headers=bearer, timeout=30)
            statuses.append(answer.status_code)

    assert statuses[0] == 503
    assert statuses[-1] == 429
    assert statuses == sorted(statuses, reverse=True)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert requests.get(f"{running.url}/timeline", headers=bearer, timeout=30).ok


SOME_LINK = "01a22671-8e20-7d70-9c15-c5c7853ac3ca.8R8I722fDyA9HTNJxkJT_pFRWECEYxjNA8BVJPbsZfU"


def test_commands_have_no_such_limit(running: Deployment) -> None:
    ask = "from django.db import connection; cursor = connection.cursor(); "
    ask += "cursor.execute('SHOW statement_timeout'); print(cursor.fetchone())"

    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ask],
        env=running.server.environment,
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines()[-1] == "('0',)"
