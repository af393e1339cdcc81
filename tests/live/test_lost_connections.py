"""After the database has closed all connections, as a restart does, nobody hears of it."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests

from tests.live.deployment import Deployment, OAuthClient, deployed
from tests.live.engine import Engine

pytestmark = pytest.mark.slow

THREADS = 8
AT_ONCE = 4 * THREADS
CLOSE = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE application_name = 'agentidp' AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def running(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    settings = {"AGENTIDP_WEB_THREADS": str(THREADS)}
    with deployed(
        durable=False, agents=1, settings=settings, interface=request.param
    ) as deployment:
        yield deployment


def ask_for_token(running: Deployment, client: OAuthClient) -> int:
    return requests.post(
        f"{running.url}/api/v1/token",
        data={"grant_type": "client_credentials"},
        auth=(client.client_id, client.client_secret),
        timeout=30,
    ).status_code


def ask_for_agents(running: Deployment, token: str) -> int:
    return requests.get(
        f"{running.url}/api/v1/agents", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).status_code


@pytest.mark.parametrize("asks", ["api", "token"])
def test_no_thread_fails_a_request_before_it_connects_again(running: Deployment, asks: str) -> None:
    client = running.clients[0]
    token = Engine(running, client).token

    def ask(_: int) -> int:
        return ask_for_agents(running, token) if asks == "api" else ask_for_token(running, client)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        before = Counter(pool.map(ask, range(4 * AT_ONCE)))
        with psycopg.connect(running.cluster.url) as other:
            (closed,) = other.execute(CLOSE).fetchone() or (0,)
        after = Counter(pool.map(ask, range(4 * AT_ONCE)))

    assert closed >= THREADS // 2, "most threads had a connection"
    assert before == after == {200: 4 * AT_ONCE}
