"""An answer's time must not tell an unknown client from a wrong secret (S7, ASVS 5.0 11.2.4)."""

import base64
import http.client
import random
import socket
import time
from uuid import uuid4

import pytest

from tests.live.deployment import Deployment

pytestmark = pytest.mark.slow

PAIRS_OF_ADDRESS = 9  # ten failures of one client from one address would be throttled
ADDRESSES = 50
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
    """How often a value of the first is larger than one of the second: 0.5 tells nothing."""
    ranked = sorted([(value, 1) for value in first] + [(value, 0) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    return (ranks - len(first) * (len(first) + 1) / 2) / (len(first) * len(second))


def test_an_unknown_client_takes_as_long_as_a_wrong_secret(deployment: Deployment) -> None:
    known = deployment.clients[0].client_id
    times: dict[str, list[float]] = {"unknown": [], "wrong": []}
    answers = set()
    order = random.Random(7)  # noqa: S311

    for number in range(ADDRESSES):
        connection = connect(deployment, f"127.0.1.{number + 1}")
        unknown = str(uuid4())
        for _ in range(PAIRS_OF_ADDRESS):
            for kind in order.sample(["unknown", "wrong"], 2):
                seconds, status, body = ask(connection, known if kind == "wrong" else unknown)
                times[kind].append(seconds)
                answers.add((status, body))
        connection.close()

    area = area_under_curve(times["unknown"], times["wrong"])
    print(f"{len(times['wrong'])} pairs, area under the curve {area:.3f}")  # noqa: T201
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert 0.40 <= area <= 0.60
