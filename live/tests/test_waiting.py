"""Requests that wait until an execution exists."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from agents.tests.factories import make_agent
from core.errors import TooManyRequests
from executions.tests.factories import RUNNING, make_execution
from live.hub import Hub
from live.reading import read_news
from live.tests.scenes import Play, awaited_by
from organizations.models import Organization
from organizations.stream_access import Viewer
from organizations.tests.factories import current_organization_id

# Waiting for an execution that does not exist yet


def test_all_waiting_requests_learn_of_an_execution_once_it_exists(
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

    outcomes, queries = play(scene)

    assert outcomes == [True] * 50
    assert queries <= 6


def make_in_thread(organization: Organization, fid: str) -> None:
    try:
        make_execution(organization, RUNNING, fid=fid)
    finally:
        connections.close_all()


def test_an_unsuccessful_wait_ends_in_time_and_releases_its_slot(
    play: Play, viewer: Viewer, organization: Organization
) -> None:
    async def scene(hub: Hub) -> bool:
        found = await hub.wait_for(awaited_by(organization, "x"), viewer=viewer, seconds=0.05)
        for _ in range(64):
            hub.slots.acquire(viewer)
        return found

    assert play(scene) is False


def test_a_waiting_request_counts_as_a_stream(
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


def test_an_awaited_execution_wakes_only_viewers_that_may_see_it(
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
