"""Many requests at a time of one organization, or from one address, do not keep others waiting."""

import http.client
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from threading import Event

import psycopg
import pytest
import requests

from tests.live.deployment import OWNER, OWNER_PASSWORD, Deployment, OAuthClient, deployed
from tests.live.fronts import HOST, PRODUCTION, nginx, unit

pytestmark = pytest.mark.slow

THREADS = 8
SECONDS = 0.1
"""How long each of a request's two statements takes in a flood."""
AT_ONCE = 60
ENOUGH = 4 * AT_ONCE
"""Requests of a flood before its rate is known."""

SECURE = {"X-Forwarded-Proto": "https"}


@dataclass(frozen=True)
class Front:
    """A server, and an agent of each organization."""

    connect: Callable[[], http.client.HTTPConnection]
    headers: dict[str, str]
    bearers: list[dict[str, str]]

    def ask(self, whose: int, path: str) -> tuple[int, str]:
        """The status of the answer, and its body."""
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers=self.headers | self.bearers[whose])
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture(params=["asgi", "wsgi"])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    settings = {"AGENTIDP_WEB_THREADS": str(THREADS)}
    production = {} if request.param == "asgi" else PRODUCTION
    with deployed(durable=False, agents=1, settings=settings | production) as running:
        bearers = [bearer_of(running, client) for client in running.clients]
        begin_run(running, bearers[0])
        if request.param == "asgi":
            slow_down(running)
            yield Front(partial(http.client.HTTPConnection, *running.address), {}, bearers)
            return
        with unit("requests", 1, running, tmp_path), nginx(running, tmp_path) as port:
            slow_down(running)  # only now: no server starts with a policy that is not declared
            context = ssl.create_default_context(cafile=f"{tmp_path}/certificate.pem")
            connect = partial(http.client.HTTPSConnection, "localhost", port, context=context)
            yield Front(connect, {"Host": HOST}, bearers)


def bearer_of(running: Deployment, client: OAuthClient) -> dict[str, str]:
    answer = requests.post(
        f"{running.url}/api/v1/token",
        data={"grant_type": "client_credentials"},
        auth=(client.client_id, client.client_secret),
        headers=SECURE,
        timeout=30,
    )
    assert answer.ok, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def begin_run(running: Deployment, bearer: dict[str, str]) -> None:
    url, body = f"{running.url}/api/v1/executions", {"summary": "A run"}
    assert requests.post(url, json=body, headers=SECURE | bearer, timeout=30).ok


def slow_down(running: Deployment) -> None:
    """Let each statement that reads executions take SECONDS."""
    with psycopg.connect(running.cluster.owner_url) as owner:
        owner.execute(
            "CREATE POLICY slow ON executions_execution AS RESTRICTIVE FOR SELECT "
            f"USING ((SELECT true FROM pg_sleep({SECONDS})))"
        )


@contextmanager
def flood(front: Front, at_once: int, answers: list[tuple[int, float]]) -> Iterator[None]:
    """Let the first organization send so many requests at once, again and again."""
    is_over = Event()

    def send() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            status, body = front.ask(0, "/api/v1/executions?limit=1")
            answers.append((status, time.monotonic() - began))
            if status != 200:
                assert "others have to wait" in body, body
                is_over.wait(1)

    with ThreadPoolExecutor(at_once) as pool:
        senders = [pool.submit(send) for _ in range(at_once)]
        try:
            yield
        finally:
            is_over.set()
        for each in senders:
            each.result()


def until(answers: list[tuple[int, float]], number: int) -> None:
    while len(answers) < number:
        time.sleep(0.01)


def seconds_of_another(front: Front) -> float:
    """The 95th percentile of quick requests of the other organization."""
    took = []
    for _ in range(40):
        began = time.monotonic()
        status, body = front.ask(-1, "/api/v1/agents")
        took.append(time.monotonic() - began)
        assert status == 200, body
    return quantiles(took, n=20)[-1]


def test_a_flood_of_one_organization_leaves_room_for_others(front: Front) -> None:
    alone: list[tuple[int, float]] = []
    few: list[tuple[int, float]] = []
    many: list[tuple[int, float]] = []
    with flood(front, AT_ONCE, alone):
        until(alone, ENOUGH)
    waits = median(seconds for _, seconds in alone[AT_ONCE:])
    usual = seconds_of_another(front)
    with flood(front, THREADS, few):
        until(few, THREADS)
        beside_few = seconds_of_another(front)
    with flood(front, AT_ONCE, many):
        until(many, AT_ONCE)
        beside_many = seconds_of_another(front)
    print(  # noqa: T201
        f"the flood alone: {AT_ONCE / waits:.1f} requests a second, each in {waits:.2f} s; "
        f"another's 95th percentile: usually {usual:.3f} s, beside {THREADS} requests at once "
        f"{beside_few:.3f} s, beside {AT_ONCE} {beside_many:.3f} s; "
        f"{Counter(status for status, _ in few)}, {Counter(status for status, _ in many)}"
    )

    assert {status for status, _ in alone} == {200}, "nobody else waited"
    refused = sum(status == 503 for status, _ in few)
    assert refused <= len(few) / 10, "as many as there are threads is no flood"
    assert {status for status, _ in many} == {200, 503}
    assert beside_many < 0.8 * waits, "they waited as long as the flood itself"


CONNECTIONS = 12
ATTACKER, VICTIM = "203.0.113.1", "198.51.100.7"


def log_in(running: Deployment, address: str, email: str, password: str) -> int:
    return requests.post(
        f"{running.url}/api/v1/auth/login",
        json={"email": email, "password": password},
        headers={"X-Forwarded-For": address},
        timeout=60,
    ).status_code


def test_nobody_is_kept_from_signing_in_by_guesses_from_another_address() -> None:
    """A password with two spellings once cost two hashes, and refused guesses were not counted."""
    is_over = Event()
    proxied = {"AGENTIDP_TRUSTED_PROXY_HOPS": "1", "AGENTIDP_PASSWORD_HASHES_AT_ONCE": "1"}

    def guess(running: Deployment, number: int, statuses: Counter[int]) -> None:
        sent = 0
        while not is_over.is_set():
            sent += 1
            name = f"nobody{number}-{sent}@example.com"
            statuses[log_in(running, ATTACKER, name, "wrong, wro\u0308ng, wrong")] += 1

    with (
        deployed(durable=False, agents=1, settings=proxied) as running,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        answers: Counter[int] = Counter()
        flooding = [pool.submit(guess, running, number, answers) for number in range(CONNECTIONS)]
        try:
            while answers.total() < CONNECTIONS:
                time.sleep(0.01)
            victims = [log_in(running, VICTIM, OWNER, OWNER_PASSWORD) for _ in range(10)]
        finally:
            is_over.set()
        for each in flooding:
            each.result()
    print(answers)  # noqa: T201

    assert victims == [200] * 10
    assert answers.keys() <= {401, 429, 503}
