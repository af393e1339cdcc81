"""One organization's output that is slow to render does not delay the streams of others."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.viewer import connected

pytestmark = pytest.mark.slow

STREAMS = 80
LINE = "*a* `b` [c](https://example.com)\n\n"
SLOW = [json.dumps({"Markdown": {"body": LINE * number}}) for number in (1500, 4000)]
"""Results that the stream sends as one batch, which takes most of a second to render."""


@pytest.fixture
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=4) as deployment:
        yield deployment


def report(engine: Engine, *messages: str) -> None:
    events = [{"kind": "result", "message": each} for each in messages]
    engine.post(f"executions/{engine.fid}/events", {"events": events})


async def text_until(engine: Engine, wanted: str) -> str:
    """What the rendered stream says until these words appear in an event."""
    text = ""
    url = f"{engine.url}/outputs/main/{engine.fid}"
    async with connected(url, engine.token) as received:
        async for each in received:
            text += each.data
            if wanted in each.data:
                return text
    raise AssertionError(f"The stream ended without {wanted}.")


async def seconds_until(engine: Engine, wanted: str) -> float:
    began = time.monotonic()
    await text_until(engine, wanted)
    return time.monotonic() - began


async def seconds_until_shown(engine: Engine, number: int) -> float:
    """How long a new, short result takes to a viewer who opens the stream after it."""
    message = json.dumps({"Markdown": {"body": f"**{number}**"}})
    await asyncio.to_thread(report, engine, message)
    return await seconds_until(engine, f"<strong>{number}</strong>")


async def view_again_and_again(engine: Engine, arrived: asyncio.Event) -> None:
    url = f"{engine.url}/outputs/main/{engine.fid}"
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            async with connected(url, engine.token) as received:
                async for each in received:
                    if each.event == "result":
                        arrived.set()


def test_streams_that_are_slow_to_render_delay_no_other_organization(running: Deployment) -> None:
    agents = len(running.clients) // 2
    hostile = [Engine(running, client) for client in running.clients[:agents]]
    runs = [hostile[each % agents].another() for each in range(STREAMS)]
    for run in runs:
        report(run, *SLOW)
    other = Engine(running, running.clients[agents])

    async def scene() -> tuple[float, float, float]:
        alone = await seconds_until_shown(other, 0)
        batch = await seconds_until(runs.pop(), "<code>b</code>")
        arrived = asyncio.Event()
        flood = [asyncio.create_task(view_again_and_again(each, arrived)) for each in runs]
        await arrived.wait()
        beside = [await seconds_until_shown(other, each) for each in range(1, 9)]
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        return alone, batch, max(beside)

    alone, batch, beside = asyncio.run(asyncio.wait_for(scene(), 120))
    assert beside < 3 * batch + 1, (alone, batch, beside)
