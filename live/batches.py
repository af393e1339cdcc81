"""A cache of recent batches shared by all viewers. Its size does not depend on how many viewers
there are, or at how many positions.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from live.reading import Batch, Watched

MAX_KEPT_BYTES = 4 * 1024**2

Place = tuple[Watched, int]
"""An execution, and the sequence number after which a batch begins."""


class Batches:
    """Reads each batch once for all who want it at about the same time."""

    def __init__(self, read: Callable[[Watched, int], Awaitable[Batch | None]]) -> None:
        self._read = read
        self._under_way: dict[Place, asyncio.Future[Batch | None]] = {}
        self._kept: OrderedDict[Place, Batch] = OrderedDict()
        self.kept_bytes = 0

    async def get(self, watched: Watched, after: int) -> Batch | None:
        """The batch after the sequence number `after`; None when there are no more events."""
        place = watched, after
        if kept := self._kept.get(place):
            self._kept.move_to_end(place)
            return kept
        reading = self._under_way.get(place)
        if reading is None:
            reading = self._under_way[place] = asyncio.ensure_future(self._read(watched, after))
            reading.add_done_callback(lambda done: self._keep(place, done))
        return await asyncio.shield(reading)

    def clear(self) -> None:
        self._kept.clear()
        self.kept_bytes = 0

    def _keep(self, place: Place, done: "asyncio.Future[Batch | None]") -> None:
        del self._under_way[place]
        if done.cancelled() or done.exception() or not (batch := done.result()):
            return
        self._kept[place] = batch
        self.kept_bytes += batch.size
        while self.kept_bytes > MAX_KEPT_BYTES:
            self.kept_bytes -= self._kept.popitem(last=False)[1].size
