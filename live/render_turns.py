"""Rendering of batches for streams: one thread, in turns between organizations.

All organizations of one person have one turn (organizations/tenancy/shares.py). Rendering may take
a second of the processor for a batch, and every viewer of a process waits for the same thread. Each
share with something to render gets one batch at a time in turn, and each has a budget of processor
time, so that the others wait for about one batch at most.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from executions.sanitizing import SECONDS

INTERVAL = 10.0
"""Seconds after which every share gets its whole budget again."""
BUDGET = 3.0
"""Seconds of processor time for a share in each interval. Afterwards its messages are shown as
plain text.
"""

Render = Callable[[float], bytes]
"""Renders a batch within so many seconds of processor time."""


class RenderTurns:
    """The rendering thread of a hub. It belongs to the hub's event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hub-writer")
        self._waiting: dict[UUID, deque[tuple[asyncio.Future[bytes], Render]]] = {}
        """The batches of each share, in the order of the shares' turns."""
        self._is_busy = False
        self._interval = 0
        self._spent: Counter[UUID] = Counter()
        """Processor time in this interval, in milliseconds."""

    async def run(self, share: UUID, render: Render) -> bytes:
        """Render when it is the share's turn."""
        rendered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(share, deque()).append((rendered, render))
        self._start_next()
        return await rendered

    def close(self) -> None:
        for batches in self._waiting.values():
            for rendered, _ in batches:
                rendered.cancel()
        self._waiting.clear()
        self._thread.shutdown()

    def _start_next(self) -> None:
        while self._waiting and not self._is_busy:
            share = next(iter(self._waiting))
            batches = self._waiting.pop(share)
            rendered, render = batches.popleft()
            if batches:
                self._waiting[share] = batches  # behind all others
            if rendered.cancelled():  # its viewer has left
                continue
            self._is_busy = True
            seconds = min(self._left(share), SECONDS)
            running = asyncio.get_running_loop().run_in_executor(
                self._thread, _measured, render, seconds
            )
            running.add_done_callback(partial(self._finish, share, rendered))

    def _finish(
        self,
        share: UUID,
        rendered: asyncio.Future[bytes],
        running: "asyncio.Future[tuple[bytes | Exception, float]]",
    ) -> None:
        self._is_busy = False
        if running.cancelled():
            rendered.cancel()
            return
        result, seconds = running.result()
        self._spent[share] += round(seconds * 1000)
        if not rendered.done():
            if isinstance(result, Exception):
                rendered.set_exception(result)
            else:
                rendered.set_result(result)
        self._start_next()

    def _left(self, share: UUID) -> float:
        """What is left of the share's budget, in seconds."""
        interval = int(time.monotonic() // INTERVAL)
        if interval != self._interval:
            self._interval = interval
            self._spent.clear()
        return max(BUDGET - self._spent[share] / 1000, 0.0)


def _measured(render: Render, seconds: float) -> tuple[bytes | Exception, float]:
    """The rendered batch or the error, and the processor time it took."""
    began = time.thread_time()
    try:
        result: bytes | Exception = render(seconds)
    except Exception as error:
        result = error
    return result, time.thread_time() - began
