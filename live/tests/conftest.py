"""Viewers of executions, and a hub for one test."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from live.hub import Hub
from live.tests.scenes import Play
from organizations.actors import Actor
from organizations.models import Organization
from organizations.stream_access import Viewer
from organizations.tests.factories import make_membership
from tokens.models import LoginSession


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
    """A viewer with access for the whole test."""
    member = make_membership(organization, "operator")
    session = LoginSession.objects.create(user=member.user)
    return Viewer.of_request(Actor.for_person(member, session_id=session.pk), None)
