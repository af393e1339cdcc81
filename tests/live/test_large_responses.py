"""Large responses release their memory again, on both kinds of server."""

from collections.abc import Iterator

import pytest

from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.fronts import ask
from tests.live.hostile import MEGABYTE, front, send_ordinary_requests

pytestmark = pytest.mark.slow

MESSAGES = 12
TIMES = 20
MAX_GROWN_BYTES = 150 * MEGABYTE
"""Of the 240 MB of events that are sent; with what was made of them, twice as much."""


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1) as deployment:
        yield deployment


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_large_responses_leave_nothing(running: Deployment, interface: str) -> None:
    engine = Engine(running, running.clients[0])
    for _ in range(MESSAGES):
        engine.say(1, "x" * 1_000_000)
    sent = (
        f"GET /api/dashboard/execution/{engine.fid}/details HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {engine.token}\r\nConnection: close\r\n\r\n"
    ).encode()

    with front(running, interface) as server:
        send_ordinary_requests(server, 20)
        before = server.memory()
        replies = [ask(server.address, sent) for _ in range(TIMES)]
        grown = server.memory() - before

    assert {reply.status for reply in replies} == {200}
    assert all(len(reply.body) > MESSAGES * 1_000_000 for reply in replies)
    assert grown < MAX_GROWN_BYTES
