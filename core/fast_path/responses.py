"""Answers that hold no thread while their client reads."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast
from uuid import UUID

from django.http import StreamingHttpResponse

from core.failures import RightEnded
from core.memory import count_bytes

SECONDS_BETWEEN_CHECKS = 0.4
"""Of the right to a long answer: it ends within a second, as a stream does."""
WAITED = "agentidp.waited"
"""Stands in the environment of a request that is asked again after a wait: it waits no more."""
Live = Callable[[asyncio.Event], AsyncGenerator[bytes, None]]
Wait = Callable[[], Awaitable[bool]]
Place = Callable[[], AbstractContextManager[None]]


class LiveResponse(StreamingHttpResponse):
    """A stream. Under ASGI `live` makes its body, which holds no thread and no transaction while
    it waits; under WSGI `replay` gives what there is now. `release` is called once at the end.

    `live` sets the event that it is given when the stream is over: a client that does not read to
    the end then is cut off.
    """

    def __init__(
        self,
        replay: Iterable[bytes],
        live: Live,
        release: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(replay, **kwargs)
        self.live = live
        self.release: Callable[[], None] | None = release

    def hand_over(self) -> Callable[[], None]:
        """Take over the duty to release."""
        release, self.release = self.release, None
        return release or (lambda: None)

    def close(self) -> None:
        super().close()
        self.hand_over()()


class LongResponse(StreamingHttpResponse):
    """An answer that is made piece by piece, at the pace at which its client takes it.

    Any thread may make the next piece, so nothing may stay open between two: no transaction, no
    cursor of the database. `caller` is the principal whose answers in progress are counted.
    """

    def __init__(self, pieces: Iterable[bytes | str], *, caller: UUID | None, **kwargs: Any):
        super().__init__(pieces, **kwargs)
        self.caller = caller
        self.organization_id: UUID | None = None
        self.place: Place = nullcontext

    def count_for(self, organization_id: UUID, place: Place) -> None:
        """Whose threads its making takes: the first pieces are made in a `place`, which may refuse,
        and of the threads for further ones an organization has some. The doors of organizations
        say so as well, since a piece may take long, and comes after they are left."""
        self.organization_id, self.place = organization_id, place

    def end_with(self, has_ended: Callable[[], bool]) -> None:
        """Break the answer off once the right to it has ended: asked now and then, as it is made.

        The doors of organizations say so for every long answer that goes through them.
        """
        self.streaming_content = _until(has_ended, cast(Iterator[bytes], self.streaming_content))


def _until(has_ended: Callable[[], bool], pieces: Iterable[bytes]) -> Iterator[bytes]:
    asked_at = time.monotonic()

    def checked(piece: bytes) -> bytes:
        nonlocal asked_at
        count_bytes(len(piece))
        if time.monotonic() - asked_at >= SECONDS_BETWEEN_CHECKS:
            if has_ended():
                raise RightEnded("The right to this answer has ended.")
            asked_at = time.monotonic()
        return piece

    return map(checked, pieces)
