"""Waiting requests of one organization do not disturb others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import psycopg
import pytest
import requests

from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine

pytestmark = pytest.mark.slow

THREADS = 8
CALLERS = 3 * THREADS
PATIENCE = 60
"""Seconds."""


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    settings = {"AGENTIDP_WEB_THREADS": str(THREADS)}
    with deployed(durable=False, agents=1, settings=settings) as deployment:
        yield deployment


@contextmanager
def changing(deployment: Deployment, fid: str) -> Iterator[None]:
    """Hold a lock on the execution during the block, as an unfinished change would."""
    with psycopg.connect(deployment.cluster.owner_url) as connection:
        tenant = deployment.clients[0].organization_id
        connection.execute("SELECT set_config('app.organization_id', %s, false)", [tenant])
        found = connection.execute(
            "SELECT FROM executions_execution WHERE fid = %s FOR UPDATE", [fid]
        )
        assert found.rowcount == 1
        yield


def test_an_organization_whose_requests_wait_leaves_threads_to_the_others(
    running: Deployment,
) -> None:
    waiting, other = Engine(running, running.clients[0]), Engine(running, running.clients[-1])
    body = {"events": [{"kind": "stdout", "message": "x"}]}
    is_over, was_refused = Event(), Event()

    def report() -> None:
        while not is_over.is_set():
            answer = requests.post(
                f"{running.url}/api/v1/executions/{waiting.fid}/events",
                json=body,
                headers={"Authorization": f"Bearer {waiting.token}"},
                timeout=PATIENCE,
            )
            if "from your organization" in answer.text:
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
                was_refused.set()

    with ThreadPoolExecutor(CALLERS) as pool:
        with changing(running, waiting.fid):
            callers = [pool.submit(report) for _ in range(CALLERS)]
            try:
                assert was_refused.wait(PATIENCE)
                began = time.monotonic()
                for _ in range(10):
                    other.say(1)
                took = time.monotonic() - began
            finally:
                is_over.set()
        for caller in callers:
            caller.result()
    waiting.say(1)

    assert took < 10, "one after the other behind those that wait they took a minute"
