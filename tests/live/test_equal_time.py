"""Response times do not reveal whether a client exists or only its secret is wrong."""

import base64
import http.client
import random
import socket
import time
from uuid import uuid4

import psycopg
import pytest

from tests.live.deployment import Deployment

pytestmark = pytest.mark.slow

ROUNDS = 30
PAIRS = 9  # in a round: ten failures of one client from one address would be throttled
FILL = "INSERT INTO organizations_attempt (key, started_at, attempts) SELECT {}, now(), 1000 {}"
STATES = {
    "recorded": ([], 401),
    "left out": ([FILL.format("'recorded token ' || n", "FROM generate_series(0, 31) n")], 401),
    "throttled": ([], 429),
}
"""The preparation before a round, and the status of all its responses."""
FORM = "application/x-www-form-urlencoded"


def connect(deployment: Deployment, source: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(*deployment.address, source_address=(source, 0))
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.request("GET", "/livez")
    connection.getresponse().read()
    return connection


def ask(connection: http.client.HTTPConnection, client_id: str) -> tuple[float, int, bytes]:
    """The time of one refused token request, its status and its body."""
    pair = base64.b64encode(f"{client_id}:sk_live_{'x' * 43}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": FORM}
    started = time.perf_counter()
    connection.request("POST", "/api/v1/token", "grant_type=client_credentials", headers)
    answer = connection.getresponse()
    body = answer.read()
    return time.perf_counter() - started, answer.status, body


def area_under_curve(first: list[float], second: list[float]) -> float:
    """The probability that a value of the first exceeds one of the second; 0.5 reveals nothing."""
    ranked = sorted([(value, 1) for value in first] + [(value, 0) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    return (ranks - len(first) * (len(first) + 1) / 2) / (len(first) * len(second))


@pytest.mark.parametrize("state", STATES)
def test_an_unknown_client_takes_as_long_as_a_wrong_secret(
    deployment: Deployment, state: str
) -> None:
    preparation, status = STATES[state]
    known, unknown = deployment.clients[0].client_id, str(uuid4())
    clients = {"unknown": unknown, "wrong": known}
    times: dict[str, list[float]] = {kind: [] for kind in clients}
    answers = set()
    order = random.Random(7)  # noqa: S311

    for number in range(ROUNDS):
        connection = connect(deployment, f"127.0.1.{number + 1}")
        with psycopg.connect(deployment.cluster.url, autocommit=True) as database:
            database.execute("DELETE FROM organizations_attempt WHERE key NOT LIKE 'left out %'")
            for statement in preparation:
                database.execute(statement)
        if state == "throttled":
            for client_id in [*clients.values()] * 10:
                ask(connection, client_id)
        for _ in range(PAIRS):
            for kind in order.sample(sorted(clients), 2):
                seconds, *answer = ask(connection, clients[kind])
                times[kind].append(seconds)
                answers.add(tuple(answer))
        connection.close()

    area = area_under_curve(times["unknown"], times["wrong"])
    print(f"{state}: {len(times['wrong'])} pairs, area under the curve {area:.3f}")  # noqa: T201
    assert {found for found, _ in answers} == {status}
    assert len(answers) == 1
    assert 0.40 <= area <= 0.60
