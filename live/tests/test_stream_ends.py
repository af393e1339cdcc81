"""A stream ends when its viewer loses access."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

import pytest
import time_machine
from django.db import connections

from executions.actions import delete_execution
from live import hub as hub_module
from live.hub import Closed, Hub
from live.tests.scenes import Play, awaited_by, numbers_of, running_in, subscribe
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.stream_access import Viewer
from organizations.tenancy.scope import organization_scope


def test_a_token_that_ends_by_itself_ends_its_viewer(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream ends at that moment, not at the next check of the viewers."""
    execution = running_in(organization)
    monkeypatch.setattr(hub_module, "VIEWER_CHECK_INTERVAL_SECONDS", 60)
    short_lived = replace(viewer, expires_at=time.time() + 0.3)

    async def scene(hub: Hub) -> str:
        with pytest.raises(Closed) as closed:
            await numbers_of(subscribe(hub, execution, short_lived))
        return closed.value.reason

    assert play(scene) == hub_module.RIGHT_ENDED


def test_a_clock_that_was_set_forward_ends_it_too(
    play: Play, viewer: Viewer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer was set by the old clock; the next check of the viewers uses the new one."""
    execution = running_in(organization)
    long_lived = replace(viewer, expires_at=time.time() + 3600)
    monkeypatch.setattr(hub_module, "VIEWER_CHECK_INTERVAL_SECONDS", 0)

    async def scene(hub: Hub) -> str:
        received = asyncio.create_task(numbers_of(subscribe(hub, execution, long_lived)))
        while hub.queries < 1:
            await asyncio.sleep(0.01)
        with time_machine.travel(time.time() + 3601), pytest.raises(Closed) as closed:
            await received
        return closed.value.reason

    assert play(scene) == hub_module.RIGHT_ENDED


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


# Reasons for a stream to end


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


def test_losing_access_ends_streams_and_waits_at_the_next_tick_even_without_reading(
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
