"""Executions that change while they are being watched."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any
from uuid import UUID

from django.db import connections

from executions.event_log import NewEvent, append_events
from executions.models import Execution, now
from executions.tests.factories import RUNNING, make_execution
from live.hub import Hub
from live.reading import Awaited, Batch, Head, Watched
from organizations.models import Organization
from organizations.stream_access import Viewer
from organizations.tenancy.scope import organization_scope

Play = Callable[[Callable[[Hub], Coroutine[Any, Any, Any]]], Any]


def running_in(organization: Organization) -> Execution:
    """An execution that started some time ago, so that it can end now."""
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


def awaited_by(organization: Organization, fid: str, **owner: UUID) -> Awaited:
    return Awaited(organization.pk, fid, **owner)
