"""The batches cached for all viewers together."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import FINISHED, RUNNING, make_execution
from live import batches as batches_module
from live import hub as hub_module
from live import reading
from live.hub import Hub
from live.payloads import raw, rendered
from live.reading import Batch, Head, Watched, read_events
from live.tests.scenes import Play, subscribe
from organizations.models import Organization
from organizations.stream_access import Viewer
from panel import streams


def test_a_batch_ends_at_its_limits(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    monkeypatch.setattr(reading, "MAX_EVENTS", 5)
    lines = [NewEvent(now(), "stdout", "x" * size) for size in (600, 600, 1, *[1] * 6)]
    execution = make_execution(organization, RUNNING[:1], start=now() - 1, events=lines)

    def batches() -> Iterator[list[int]]:
        after = 0
        while batch := read_events(Watched(organization.pk, execution.pk), after):
            yield [event.sequence for event in batch.events]
            after = batch.last_sequence

    assert list(batches()) == [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10]]


# The size of the cache


@pytest.mark.parametrize("kept", [0, batches_module.MAX_KEPT_BYTES])
@pytest.mark.parametrize("payload", [raw, rendered])
def test_a_stream_is_the_same_whether_its_batches_were_kept_or_read_again(
    kept: int,
    payload: Any,
    play: Play,
    viewer: Viewer,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches_module, "MAX_KEPT_BYTES", kept)
    monkeypatch.setattr(streams, "PIECE", 1000)
    lines = [NewEvent(now(), "stdout", "é" * size) for size in (10, 70_000, 0, 20_000, 900)]
    execution = make_execution(organization, FINISHED, start=now() - 60, events=lines)
    reads: list[int] = []

    def counted(watched: Watched, after: int) -> Batch | None:
        reads.append(after)
        return read_events(watched, after)

    monkeypatch.setattr(hub_module, "read_events", counted)

    def stream() -> streams.Stream:
        return streams.Stream(
            Watched(organization.pk, execution.pk),
            Head(execution.last_sequence, execution.status),
            after=0,
            viewer=viewer,
            kinds=None,
            payload=payload,
        )

    async def scene(hub: Hub) -> list[bytes]:
        async with aclosing(stream().live(hub, asyncio.Event())) as pieces:
            return [piece async for piece in pieces]

    pieces = play(scene)

    assert b"".join(pieces) == b"".join(stream().replay())
    assert max(map(len, pieces)) <= 1000
    assert (len(reads) > len(set(reads))) == (kept == 0)


def test_the_cache_of_batches_does_not_grow_with_viewers_or_positions(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "MAX_KEPT_BYTES", 500_000)
    lines = [NewEvent(now(), "stdout", "x" * 60_000) for _ in range(30)]
    execution = make_execution(organization, FINISHED, start=now() - 60, events=lines)

    def batches() -> list[Batch]:
        return [each for each in gc.get_objects() if type(each) is Batch]  # proxies may be dead

    async def scene(hub: Hub) -> int:
        others = batches()
        async with AsyncExitStack() as stack:
            for place in range(28):
                viewing = subscribe(hub, execution, viewer, after=place)
                await anext(await stack.enter_async_context(aclosing(viewing)))
            gc.collect()
            kept = [each for each in batches() if not any(each is other for other in others)]
            assert hub.kept_bytes == sum(each.size for each in kept)
            return hub.kept_bytes

    assert 200_000 < play(scene) <= 500_000


def test_nothing_is_kept_once_all_viewers_have_gone(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    lines = [NewEvent(now(), "stdout", "x" * 60_000)]
    execution = make_execution(organization, RUNNING, start=now() - 60, events=lines)

    async def scene(hub: Hub) -> int:
        async with aclosing(subscribe(hub, execution, viewer)) as viewing:
            await anext(viewing)
            assert hub.kept_bytes >= 60_000
        while hub.kept_bytes:  # until the scene's time is over
            await asyncio.sleep(0.01)
        return hub.kept_bytes

    assert play(scene) == 0
