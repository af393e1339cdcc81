"""Responses that hold no thread while their client reads."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast
from uuid import UUID

from django.http import StreamingHttpResponse

from core.failures import RightEnded
from core.memory import count_bytes

CHECK_INTERVAL_SECONDS = 0.4
"""Between checks that the caller still has access: a long response ends within a second of losing
it, as a stream does."""
WAITED = "agentidp.waited"
"""The environ key of a request that runs again after a wait, and must not wait once more."""
Live = Callable[[asyncio.Event], AsyncGenerator[bytes, None]]
Wait = Callable[[], Awaitable[bool]]
Place = Callable[[], AbstractContextManager[None]]


class LiveResponse(StreamingHttpResponse):
    """A stream of live data.

    Under ASGI, `live` produces its body without a thread or a transaction while it waits; under
    WSGI, `replay` returns what exists now. `release` is called once at the end. `live` sets the
    event it is given when the stream is over. A client that has not read to the end by then is
    disconnected.
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
        """Return the `release` function; from now on the caller has to call it."""
        release, self.release = self.release, None
        return release or (lambda: None)

    def close(self) -> None:
        super().close()
        self.hand_over()()


class LongResponse(StreamingHttpResponse):
    """A response that is produced piece by piece, as fast as its client reads.

    Any thread may produce the next piece, so no transaction or database cursor may stay open
    between two. `caller` is the principal whose responses in progress are counted.
    """

    def __init__(self, pieces: Iterable[bytes | str], *, caller: UUID | None, **kwargs: Any):
        super().__init__(pieces, **kwargs)
        self.caller = caller
        self.share: UUID | None = None
        self.place: Place = nullcontext

    def count_for(self, share: UUID, place: Place) -> None:
        """Whose threads its making takes: the first pieces are made in a `place`, which may refuse,
        and of the threads for further ones each share has some. The doors of organizations say so
        as well, since a piece may take long, and comes after they are left."""
        self.share, self.place = share, place

    def end_with(self, has_ended: Callable[[], bool]) -> None:
        """Break the response off once `has_ended()` is true; it is checked from time to time.

        The base views of organizations call this for every long response.
        """
        self.streaming_content = _until(has_ended, cast(Iterator[bytes], self.streaming_content))


def _until(has_ended: Callable[[], bool], pieces: Iterable[bytes]) -> Iterator[bytes]:
    asked_at = time.monotonic()

    def checked(piece: bytes) -> bytes:
        nonlocal asked_at
        count_bytes(len(piece))
        if time.monotonic() - asked_at >= CHECK_INTERVAL_SECONDS:
            if has_ended():
                raise RightEnded("The right to this response has ended.")
            asked_at = time.monotonic()
        return piece

    return map(checked, pieces)
