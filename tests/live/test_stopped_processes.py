"""A server that stands still in a transaction does not keep its locks for ever."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests

from organizations.tests.blocking import BLOCKED
from tests.live.deployment import PROJECT, Deployment, deployed
from tests.live.engine import Engine

pytestmark = pytest.mark.slow

LIMIT = {"AGENTIDP_IDLE_TRANSACTION_TIMEOUT": "900ms"}
LOCK = "SELECT FROM executions_execution WHERE fid = %s FOR UPDATE"
TRANSACTION = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "agentidp.settings"
django.setup()
from django.db import connection
cursor = connection.cursor()
cursor.execute("SHOW idle_in_transaction_session_timeout")
print(cursor.fetchone())
"""


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def running(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with deployed(durable=False, agents=1, settings=LIMIT, interface=request.param) as deployment:
        yield deployment


def is_stopped(process: int) -> bool:
    """Whether all its threads stand still: those that work stop a little later than the signal."""
    stats = [each.read_text() for each in Path(f"/proc/{process}/task").glob("*/stat")]
    return all(each.rpartition(")")[2].split()[0] == "T" for each in stats)


@contextmanager
def stopped(deployment: Deployment) -> Iterator[None]:
    """Stop the processes of the server during the block, as SIGSTOP from a shell does."""
    processes = deployment.server.processes()
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    while not all(map(is_stopped, processes)):
        pass
    try:
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def is_free(other: psycopg.Connection, fid: str) -> bool:
    try:
        other.execute(f"{LOCK} NOWAIT".encode(), [fid])
    except psycopg.errors.LockNotAvailable:
        return False
    finally:
        other.rollback()
    return True


def test_locks_of_a_server_that_was_stopped_are_free_after_the_limit(running: Deployment) -> None:
    engine = Engine(running, running.clients[0])
    tenant = running.clients[0].organization_id
    body = {"events": [{"kind": "stdout", "message": "x"}]}

    def report() -> requests.Response:
        return requests.post(
            f"{running.url}/api/v1/executions/{engine.fid}/events",
            json=body,
            headers={"Authorization": f"Bearer {engine.token}"},
            timeout=60,
        )

    with ThreadPoolExecutor(1) as pool, psycopg.connect(running.cluster.owner_url) as other:
        other.execute("SELECT set_config('app.organization_id', %s, false)", [tenant])
        other.execute(LOCK, [engine.fid])
        answer = pool.submit(report)
        with psycopg.connect(running.cluster.owner_url, autocommit=True) as watch:
            while watch.execute(BLOCKED, [other.info.backend_pid]).fetchone() != (True,):
                assert not answer.done(), answer.result().text
        with stopped(running):
            other.commit()
            while is_free(other, engine.fid):
                pass  # the stopped server's backend takes the lock as soon as it wakes up
            other.execute("SET lock_timeout = '10s'")
            other.execute(LOCK, [engine.fid])
            other.commit()
        refused = answer.result()

    assert refused.status_code == 503, f"{refused.text}\n{running.log.read_text()[-6000:]}"
    assert refused.headers["Retry-After"] == "2"
    assert refused.json()["code"] == "SERVICE_UNAVAILABLE"
    assert report().ok


def test_commands_have_no_such_limit(running: Deployment) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRANSACTION],
        env=running.server.environment,
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines()[-1] == "('0',)"
