"""The hub: what several viewers get from one poller, whoever writes meanwhile."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import DatabaseError, connection, connections
from django.test.utils import CaptureQueriesContext

from agents.tests.factories import make_agent
from core.errors import TooManyRequests
from executions.actions import delete_execution
from executions.event_log import NewEvent, append_events
from executions.models import Execution, now
from executions.tests.factories import FINISHED, RUNNING, make_execution
from live import batches as batches_module
from live import hub as hub_module
from live import reading
from live.hub import MAX_STREAMS, Closed, Hub, StreamSlots
from live.payloads import raw, rendered
from live.reading import Awaited, Batch, Head, News, Watched, read_events, read_news
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.stream_access import Viewer
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import current_organization_id, make_membership
from panel import streams
from tokens.models import LoginSession

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
    hub: Hub,
    execution: Execution,
    viewer: Viewer,
    *,
    after: int = 0,
    heartbeat: float = 30,
    over: asyncio.Event | None = None,
) -> AsyncGenerator[Batch | None, None]:
    return hub.subscribe(
        Watched(execution.organization_id, execution.pk),
        Head(execution.last_sequence, execution.status),
        after=after,
        viewer=viewer,
        over=over,
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
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = make_execution(organization, FINISHED)
    monkeypatch.setattr(hub_module, "read_news", lambda *asked: threading.Event().wait(1) and None)

    async def scene(hub: Hub) -> list[int]:
        return await numbers_of(subscribe(hub, execution, viewer, after=2))

    assert play(scene) == [3]


def test_a_token_that_ends_by_itself_ends_its_viewer(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At that moment, not when the viewers are looked at next."""
    execution = running_in(organization)
    monkeypatch.setattr(hub_module, "SECONDS_BETWEEN_VIEWER_CHECKS", 60)
    short_lived = replace(viewer, expires_at=time.time() + 0.3)

    async def scene(hub: Hub) -> str:
        with pytest.raises(Closed) as closed:
            await numbers_of(subscribe(hub, execution, short_lived))
        return closed.value.reason

    assert play(scene) == hub_module.RIGHT_ENDED


def test_a_clock_that_was_set_forward_ends_it_too(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer was set by the old clock; the next look at the viewers goes by the new one."""
    execution = running_in(organization)
    long_lived = replace(viewer, expires_at=time.time() + 3600)
    monkeypatch.setattr(hub_module, "SECONDS_BETWEEN_VIEWER_CHECKS", 0)

    async def scene(hub: Hub) -> str:
        told = asyncio.create_task(numbers_of(subscribe(hub, execution, long_lived)))
        while hub.queries < 1:
            await asyncio.sleep(0.01)
        with time_machine.travel(time.time() + 3601), pytest.raises(Closed) as closed:
            await told
        return closed.value.reason

    assert play(scene) == hub_module.RIGHT_ENDED


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

    # Whoever asked once for each viewer would have asked four times at once.
    assert play(scene) >= 3 * 0.2
    assert asked[1:4] == [5] * 3


def test_without_viewers_nobody_is_asked(
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


def test_a_batch_ends_at_its_limits(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    monkeypatch.setattr(reading, "MAX_EVENTS", 5)
    told = [NewEvent(now(), "stdout", "x" * size) for size in (600, 600, 1, *[1] * 6)]
    execution = make_execution(organization, RUNNING[:1], start=now() - 1, events=told)

    def batches() -> Iterator[list[int]]:
        after = 0
        while batch := read_events(Watched(organization.pk, execution.pk), after):
            yield [event.sequence for event in batch.events]
            after = batch.last_sequence

    assert list(batches()) == [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10]]


# Waiting for an execution that is not there yet


def awaited_by(organization: Organization, fid: str, **owner: UUID) -> Awaited:
    return Awaited(organization.pk, fid, **owner)


def test_everybody_who_waits_is_told_of_an_execution_once_it_is_there(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    awaited = awaited_by(organization, "soon")

    async def scene(hub: Hub) -> tuple[list[bool], int]:
        waiting = [
            asyncio.create_task(hub.wait_for(awaited, viewer=viewer, seconds=30)) for _ in range(50)
        ]
        while hub.queries < 2:
            await asyncio.sleep(0.01)
        assert not any(each.done() for each in waiting)
        asked = hub.queries
        await asyncio.to_thread(make_in_thread, organization, "soon")
        return await asyncio.gather(*waiting), hub.queries - asked

    told, queries = play(scene)

    assert told == [True] * 50
    assert queries <= 6


def make_in_thread(organization: Organization, fid: str) -> None:
    try:
        make_execution(organization, RUNNING, fid=fid)
    finally:
        connections.close_all()


def test_who_waits_in_vain_is_told_when_the_time_is_over_and_keeps_no_place(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    async def scene(hub: Hub) -> bool:
        found = await hub.wait_for(awaited_by(organization, "x"), viewer=viewer, seconds=0.05)
        for _ in range(64):
            hub.slots.acquire(viewer)
        return found

    assert play(scene) is False


def test_who_waits_takes_the_place_of_a_stream(
    play: Play, viewer: Viewer, organization: Organization, settings: Any
) -> None:
    settings.STREAMS_PER_CALLER = 3

    async def scene(hub: Hub) -> bool:
        waiting = [
            asyncio.create_task(
                hub.wait_for(awaited_by(organization, str(n)), viewer=viewer, seconds=30)
            )
            for n in range(3)
        ]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            hub.require_place(viewer)
        too_many = await hub.wait_for(awaited_by(organization, "4"), viewer=viewer, seconds=30)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        hub.require_place(viewer)
        return too_many

    assert play(scene) is True


def test_an_awaited_execution_counts_for_those_only_who_may_see_it(
    organization: Organization, other_organization: Organization
) -> None:
    run = make_execution(organization, RUNNING, agent=make_agent(organization), fid="it")
    agent = run.agent_id
    seen = {awaited_by(organization, "it"), awaited_by(organization, "it", agent_id=agent)}
    unseen = {
        awaited_by(organization, "it", agent_id=uuid4()),
        awaited_by(organization, "it", person_id=agent),
        awaited_by(organization, "other"),
        awaited_by(other_organization, "it"),
    }

    with CaptureQueriesContext(connection) as captured:
        news = read_news([], [], [*unseen, *seen])

    assert news.appeared == seen
    assert len(captured) == 1
    assert current_organization_id() is None


# What ends a stream


def test_a_stream_ends_exactly_with_its_token_whether_its_viewer_reads_or_waits_or_not(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FAST_TICK", 60)
    execution = running_in(organization)
    short = replace(viewer, expires_at=time.time() + 0.3)

    async def scene(hub: Hub) -> float:
        silent, over = asyncio.Event(), asyncio.Event()
        async with aclosing(subscribe(hub, execution, short, over=silent)) as asleep:
            await anext(asleep)
            waiting = asyncio.create_task(
                hub.wait_for(awaited_by(organization, "x"), viewer=short, seconds=30)
            )
            with pytest.raises(Closed, match="has ended"):
                await numbers_of(subscribe(hub, execution, short, after=2, over=over))
            assert await waiting
            assert silent.is_set()
            assert over.is_set()
        return time.time() - short.expires_at

    assert 0 <= play(scene) < 0.2


def test_a_lost_right_ends_streams_and_waits_at_the_next_tick_also_of_who_does_not_read(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    execution = running_in(organization)

    def lose() -> None:
        Membership.objects.filter(user_id=viewer.principal).update(role="viewer")
        connections.close_all()

    async def scene(hub: Hub) -> int:
        silent = asyncio.Event()
        async with aclosing(subscribe(hub, execution, viewer, over=silent)) as asleep:
            await anext(asleep)
            waiting = asyncio.create_task(
                hub.wait_for(awaited_by(organization, "x"), viewer=viewer, seconds=30)
            )
            await asyncio.to_thread(lose)
            asked = hub.queries
            await silent.wait()
            assert await waiting
            with pytest.raises(Closed, match="rights changed"):
                await anext(asleep)
            return hub.queries - asked

    assert play(scene) <= 3


def test_a_thousand_viewers_of_a_thousand_organizations_cost_as_much_as_of_one(
    organization: Organization, viewer: Viewer
) -> None:
    """They are divided among their organizations once, not once for each of them."""
    of_one = [replace(viewer, token=uuid4()) for _ in range(1000)]
    of_many = [replace(each, organization=uuid4()) for each in of_one]

    def seconds(viewers: list[Viewer]) -> float:
        return min(timed(viewers) for _ in range(3))

    def timed(viewers: list[Viewer]) -> float:
        began = time.perf_counter()
        read_news([], viewers)
        return time.perf_counter() - began

    assert read_news([], of_one).ended == set()
    assert read_news([], of_many).ended == set(of_many)
    assert seconds(of_many) < 10 * seconds(of_one)


# How much is kept


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
    told = [NewEvent(now(), "stdout", "é" * size) for size in (10, 70_000, 0, 20_000, 900)]
    execution = make_execution(organization, FINISHED, start=now() - 60, events=told)
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


def test_what_is_kept_of_batches_does_not_grow_with_the_viewers_and_their_places(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "MAX_KEPT_BYTES", 500_000)
    told = [NewEvent(now(), "stdout", "x" * 60_000) for _ in range(30)]
    execution = make_execution(organization, FINISHED, start=now() - 60, events=told)

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
    told = [NewEvent(now(), "stdout", "x" * 60_000)]
    execution = make_execution(organization, RUNNING, start=now() - 60, events=told)

    async def scene(hub: Hub) -> int:
        async with aclosing(subscribe(hub, execution, viewer)) as viewing:
            await anext(viewing)
            assert hub.kept_bytes >= 60_000
        while hub.kept_bytes:  # until the scene's time is over
            await asyncio.sleep(0.01)
        return hub.kept_bytes

    assert play(scene) == 0


def test_organizations_with_many_streams_leave_some_to_the_others() -> None:
    """A server takes 4,096 requests at once, whatever they are."""
    slots = StreamSlots()

    def open_all() -> int:
        organization, number = uuid4(), 0
        with suppress(TooManyRequests):
            while True:  # each by another agent
                slots.acquire(Viewer("agent", organization, uuid4()))
                number += 1
        return number

    opened = [open_all() for _ in range(6)]
    held = Viewer("agent", uuid4(), uuid4())
    slots.acquire(held)

    assert opened[0] == 1000
    assert all(number > 20 for number in opened), "whoever comes later still finds some"
    assert sum(opened) < MAX_STREAMS
    for _ in range(1000):
        slots.release(held)
        slots.acquire(held)
