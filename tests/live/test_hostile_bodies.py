"""Any body, URL and header costs little, gets a short response, and releases its memory again,
on both kinds of server.
"""

from collections.abc import Iterator

import pytest

from tests.live.deployment import Deployment, deployed
from tests.live.hostile import MEGABYTE, attacks, front, run_attack, send_ordinary_requests

pytestmark = pytest.mark.slow

TIMES = 4
"""In sequence; then once from each of many clients."""
MAX_MS = 100
MAX_ANSWER_BYTES = 16 * 1024
MAX_GROWN_BYTES = 20 * MEGABYTE
MAX_PEAK_BYTES = 80 * MEGABYTE
"""Growth since the first request: the memory that the threads need when all are busy."""


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1) as deployment:
        yield deployment


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_hostile_requests_cost_little_and_leave_nothing(
    running: Deployment, interface: str
) -> None:
    all_attacks = attacks(running, running.clients[0])
    with front(running, interface) as server:
        send_ordinary_requests(server, 20)
        fresh = server.memory()

        costs = {each: run_attack(server, each, TIMES) for each in all_attacks}
        used = server.memory()
        for each in all_attacks[::2]:
            run_attack(server, each, TIMES)
        grown, in_all = server.memory() - used, server.memory() - fresh

    assert {each.name: cost.statuses for each, cost in costs.items()} == {
        each.name: cost.statuses & set(each.statuses) for each, cost in costs.items()
    }
    assert {each.name: cost for each, cost in costs.items() if cost.cpu_ms > MAX_MS} == {}
    assert {each.name: cost for each, cost in costs.items() if cost.answer > MAX_ANSWER_BYTES} == {}
    assert grown < MAX_GROWN_BYTES
    assert in_all < MAX_PEAK_BYTES
