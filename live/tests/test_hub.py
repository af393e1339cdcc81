"""Several viewers served by one poller while others write."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from core.tests.profiling import calls
from executions.tests.factories import FINISHED, RUNNING, make_execution
from live import hub as hub_module
from live.hub import Closed, Hub
from live.reading import Batch, Head, News, Watched, read_events, read_news
from live.tests.scenes import Play, numbers_of, running_in, subscribe, write, write_now
from organizations.models import Organization
from organizations.stream_access import Viewer
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import current_organization_id


def test_a_viewer_gets_past_and_future_events_until_the_end(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    async def scene(hub: Hub) -> list[int]:
        received = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await write(execution, "three", "four")
        await write(execution, "five", end=True)
        return await received

    assert play(scene) == [1, 2, 3, 4, 5, 6]


def test_an_ended_execution_needs_no_poll(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = make_execution(organization, FINISHED)
    monkeypatch.setattr(hub_module, "read_news", lambda *asked: threading.Event().wait(1) and None)

    async def scene(hub: Hub) -> list[int]:
        return await numbers_of(subscribe(hub, execution, viewer, after=2))

    assert play(scene) == [3]


def test_fifty_viewers_share_one_poller_and_each_read(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = running_in(organization)
    reads: list[int] = []

    def counted(watched: Watched, after: int) -> Batch | None:
        reads.append(after)
        return read_events(watched, after)

    monkeypatch.setattr(hub_module, "read_events", counted)

    async def scene(hub: Hub) -> list[list[int]]:
        viewers = [
            asyncio.create_task(numbers_of(subscribe(hub, execution, viewer))) for _ in range(50)
        ]
        await asyncio.sleep(0)
        await write(execution, "three", end=True)
        return list(await asyncio.gather(*viewers))

    assert play(scene) == [[1, 2, 3, 4]] * 50
    assert len(reads) <= 2


def test_writers_at_the_same_time_leave_no_gap_and_no_event_comes_twice(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    """Appending locks the execution's row and numbers under that lock, so events are committed
    in the order of their numbers, and a reader that has seen n has missed nothing below it.
    """
    execution = running_in(organization)
    writers = [
        threading.Thread(target=lambda: [write_now(execution, "x", "y") for _ in range(25)])
        for _ in range(4)
    ]

    async def scene(hub: Hub) -> list[list[int]]:
        viewers = [
            asyncio.create_task(numbers_of(subscribe(hub, execution, viewer))) for _ in range(3)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            await asyncio.to_thread(writer.join)
        await write(execution, end=True)
        return list(await asyncio.gather(*viewers))

    assert play(scene) == [list(range(1, 204))] * 3


def test_silence_is_reported_until_the_next_event(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    async def scene(hub: Hub) -> list[bool]:
        async with aclosing(subscribe(hub, execution, viewer, after=2, heartbeat=0.05)) as batches:
            silent = await anext(batches)
            await write(execution, "three")
            heard = [silent]
            while heard[-1] is None:
                heard.append(await anext(batches))
            return [batch is None for batch in (heard[0], heard[-1])]

    assert play(scene) == [True, False]


def test_a_viewer_that_does_not_read_delays_no_other(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    async def scene(hub: Hub) -> list[int]:
        async with aclosing(subscribe(hub, execution, viewer)) as asleep:
            await anext(asleep)
            awake = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
            await write(execution, *("x" * 1000 for _ in range(600)), end=True)
            return await awake

    assert play(scene) == list(range(1, 604))


def test_a_hub_that_stops_says_so_to_everybody(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    async def scene(hub: Hub) -> list[str]:
        async def reason(batches: AsyncGenerator[Batch | None, None]) -> str:
            try:
                await numbers_of(batches)
            except Closed as closed:
                return closed.reason
            return ""

        early = asyncio.create_task(reason(subscribe(hub, execution, viewer)))
        await write(execution, "three")
        hub.stop("Closing time.")
        late = reason(subscribe(hub, execution, viewer))
        return [await early, await late]

    assert play(scene) == ["Closing time."] * 2


def test_a_database_that_is_away_for_a_moment_costs_no_event(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = running_in(organization)
    outages = iter([DatabaseError("away")])

    def failing(watched: Watched, after: int) -> Batch | None:
        for error in outages:
            raise error
        return read_events(watched, after)

    monkeypatch.setattr(hub_module, "read_events", failing)
    monkeypatch.setattr(hub_module, "OUTAGE_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(hub_module, "SLOW_TICK", 0.1)

    async def scene(hub: Hub) -> list[int]:
        received = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await write(execution, end=True)
        return await received

    assert play(scene) == [1, 2, 3]


def test_two_hundred_viewers_cost_as_many_statements_as_one(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FAST_TICK_SECONDS", 0)
    monkeypatch.setattr(hub_module, "SLOW_TICK", 0.2)
    executions = [running_in(organization) for _ in range(5)]

    asked: list[int] = []

    def counted(watched: list[Watched], *others: Any) -> News:
        asked.append(len(watched))
        return read_news(watched, *others)

    monkeypatch.setattr(hub_module, "read_news", counted)

    async def scene(hub: Hub) -> float:
        began = time.monotonic()
        viewers = [
            asyncio.create_task(numbers_of(subscribe(hub, executions[n % 5], viewer, after=2)))
            for n in range(200)
        ]
        while len(asked) < 4:
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - began
        for each in viewers:
            each.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)
        return seconds

    # One query for each viewer would have been four at once.
    assert play(scene) >= 3 * 0.2
    assert asked[1:4] == [5] * 3


def test_without_viewers_the_poller_makes_no_queries(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = make_execution(organization, FINISHED)

    async def scene(hub: Hub) -> None:
        await numbers_of(subscribe(hub, execution, viewer))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others), 10)

    play(scene)


def test_heads_of_all_organizations_take_one_statement_and_reveal_no_other(
    organization: Organization, other_organization: Organization
) -> None:
    ours = make_execution(organization, RUNNING)
    theirs = make_execution(other_organization, FINISHED)
    watched = [
        Watched(organization.pk, ours.pk),
        Watched(other_organization.pk, theirs.pk),
        Watched(organization.pk, uuid4()),
    ]

    with CaptureQueriesContext(connection) as captured:
        news = read_news(watched)

    assert len(captured) == 1
    assert news.heads == {ours.pk: Head(2, "running"), theirs.pk: Head(3, "finished")}
    assert read_news([Watched(organization.pk, theirs.pk)]) == News({}, set(), set())
    assert current_organization_id() is None
    with organization_scope(organization):
        read_news(watched)
        assert current_organization_id() == organization.pk


def test_a_thousand_viewers_of_a_thousand_organizations_cost_as_much_as_of_one(
    organization: Organization, viewer: Viewer
) -> None:
    """Viewers are grouped by organization once, not once for each organization."""
    of_one = [replace(viewer, token=uuid4()) for _ in range(1000)]
    of_many = [replace(each, organization=uuid4()) for each in of_one]

    assert read_news([], of_one).ended == set()
    assert read_news([], of_many).ended == set(of_many)
    # A few more calls for each organization; a million for each pair of them.
    assert calls(lambda: read_news([], of_many)) < 10 * calls(lambda: read_news([], of_one))
