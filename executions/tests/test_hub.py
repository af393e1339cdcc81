"""The hub: what several viewers get from one poller, whoever writes meanwhile."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections
from django.test.utils import CaptureQueriesContext

from executions.actions import delete_execution
from executions.live import hub as hub_module
from executions.live import reading
from executions.live.hub import Closed, Hub
from executions.live.reading import Batch, Head, Watched, read_events, read_heads
from executions.models import Execution, now
from executions.record import NewEvent, append_events
from executions.tests.factories import FINISHED, RUNNING, make_execution
from organizations.actors import Actor
from organizations.models import Organization
from organizations.scope import current_organization_id, organization_scope
from organizations.tests.factories import make_membership
from tokens.models import LoginSession
from tokens.viewers import Viewer

Play = Callable[[Callable[[Hub], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def play(transactional_db: None) -> Play:
    """Run a scene with a hub of its own."""

    def run(scene: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:
            hub = Hub()
            try:
                async with asyncio.timeout(30):
                    return await scene(hub)
            finally:
                await hub.close()

        return asyncio.run(whole())

    return run


@pytest.fixture
def viewer(organization: Organization) -> Viewer:
    """Somebody who may look, for as long as the test takes."""
    member = make_membership(organization, "operator")
    session = LoginSession.objects.create(user=member.user)
    return Viewer.of_request(Actor.for_person(member, session_id=session.pk), None)


def running_in(organization: Organization) -> Execution:
    """One that began some time ago, so that it may end now."""
    return make_execution(organization, RUNNING, start=now() - 60)


def subscribe(
    hub: Hub, execution: Execution, viewer: Viewer, *, after: int = 0, heartbeat: float = 30
) -> AsyncGenerator[Batch | None, None]:
    return hub.subscribe(
        Watched(execution.organization_id, execution.pk),
        Head(execution.last_sequence, execution.status),
        after=after,
        viewer=viewer,
        heartbeat=heartbeat,
    )


async def numbers_of(batches: AsyncGenerator[Batch | None, None]) -> list[int]:
    async with aclosing(batches):
        return [event.sequence async for batch in batches if batch for event in batch.events]


async def write(execution: Execution, *messages: str, end: bool = False) -> None:
    """Append in a thread, as another process would."""
    await asyncio.to_thread(write_now, execution, *messages, end=end)


def write_now(execution: Execution, *messages: str, end: bool = False) -> None:
    events = [NewEvent(now(), "stdout", message) for message in messages]
    if end:
        events.append(NewEvent(now(), "status", "finished"))
    try:
        with organization_scope(execution.organization_id):
            append_events(execution, events)
    finally:
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()


def test_a_viewer_gets_what_was_and_what_comes_until_the_end(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    async def scene(hub: Hub) -> list[int]:
        told = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await write(execution, "three", "four")
        await write(execution, "five", end=True)
        return await told

    assert play(scene) == [1, 2, 3, 4, 5, 6]


def test_an_ended_execution_needs_no_poll(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = make_execution(organization, FINISHED)

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
    """Appending locks the execution's row and numbers under that lock, so events are committed in
    the order of their numbers: who has seen n misses nothing below it."""
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


def test_silence_is_told_and_broken_by_the_next_event(
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


def test_a_viewer_who_does_not_read_holds_up_nobody(
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


def test_a_deleted_execution_ends_its_streams(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)
    actor = Actor.for_system(organization, "test")

    def delete() -> None:
        with organization_scope(organization):
            delete_execution(execution, actor=actor, stop=True)
        connections.close_all()

    async def scene(hub: Hub) -> None:
        async with aclosing(subscribe(hub, execution, viewer, after=2)) as batches:
            following = asyncio.ensure_future(anext(batches))
            await asyncio.to_thread(delete)
            await following

    with pytest.raises(Closed, match="deleted"):
        play(scene)


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
    monkeypatch.setattr(hub_module, "SECONDS_AFTER_OUTAGE", 0.01)
    monkeypatch.setattr(hub_module, "SLOW_TICK", 0.1)

    async def scene(hub: Hub) -> list[int]:
        told = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await write(execution, end=True)
        return await told

    assert play(scene) == [1, 2, 3]


def test_two_hundred_viewers_cost_as_many_statements_as_one(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SECONDS_OF_LIVELINESS", 0)
    monkeypatch.setattr(hub_module, "SLOW_TICK", 0.2)
    executions = [running_in(organization) for _ in range(5)]

    async def scene(hub: Hub) -> int:
        viewers = [
            asyncio.create_task(numbers_of(subscribe(hub, executions[n % 5], viewer, after=2)))
            for n in range(200)
        ]
        await asyncio.sleep(1)
        asked = hub.queries
        for each in viewers:
            each.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)
        return asked

    assert 1 < play(scene) <= 6


def test_without_viewers_nobody_is_asked(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = make_execution(organization, FINISHED)

    async def scene(hub: Hub) -> int:
        await numbers_of(subscribe(hub, execution, viewer))
        asked = hub.queries
        await asyncio.sleep(0.3)
        return hub.queries - asked

    assert play(scene) == 0


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
        heads, _ = read_heads(watched)

    assert len(captured) == 1
    assert heads == {ours.pk: Head(2, "running"), theirs.pk: Head(3, "finished")}
    assert read_heads([Watched(organization.pk, theirs.pk)]) == ({}, set())
    assert current_organization_id() is None
    with organization_scope(organization):
        read_heads(watched)
        assert current_organization_id() == organization.pk


def test_a_batch_ends_at_its_limits(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    monkeypatch.setattr(reading, "MOST_EVENTS", 5)
    told = [NewEvent(now(), "stdout", "x" * size) for size in (600, 600, 1, *[1] * 6)]
    execution = make_execution(organization, RUNNING[:1], start=now() - 1, events=told)

    def batches() -> Iterator[list[int]]:
        after = 0
        while batch := read_events(Watched(organization.pk, execution.pk), after):
            yield [event.sequence for event in batch.events]
            after = batch.last_sequence

    assert list(batches()) == [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10]]
