"""Keeps one organization from occupying every thread of a process.

A thread may wait for seconds: for a locked row, for file storage, for a large query. As long as
requests are fast, all threads are shared. An organization whose slow requests occupy half of them
is limited to that half for a while.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from uuid import UUID

import structlog
from django.conf import settings

from core.errors import CODES, DomainError

logger = structlog.get_logger(__name__)

SECONDS_THAT_ARE_LONG = 3.0
SECONDS_TO_REMEMBER = 60.0


class OrganizationBusy(DomainError):
    code = CODES[503]
    status = 503
    message = (
        "Other requests of your organization take long, and no more of them are begun meanwhile. "
        "Try again shortly."
    )
    retry_after = 2


class ThreadSlots:
    """Counts the requests in progress in this process by organization.

    `half` is half of its threads.
    """

    def __init__(self, half: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._half, self._clock, self._lock = half, clock, Lock()
        self._begun: defaultdict[UUID, list[float]] = defaultdict(list)
        self._slow_until: dict[UUID, float] = {}

    @contextmanager
    def hold(self, organization_id: UUID) -> Iterator[None]:
        """Count a request during the block.

        Raise OrganizationBusy if the organization has too many.
        """
        began = self._begin(organization_id)
        try:
            yield
        finally:
            self._end(organization_id, began)

    def _begin(self, organization_id: UUID) -> float:
        with self._lock:
            is_slow = self._is_slow(organization_id)
            begun = self._begun[organization_id]
            if is_slow and len(begun) >= self._half:
                raise OrganizationBusy
            begun.append(self._clock())
            return begun[-1]

    def _end(self, organization_id: UUID, began: float) -> None:
        with self._lock:
            # Checked here as well: with all threads waiting, no request begins.
            self._is_slow(organization_id)
            self._begun[organization_id].remove(began)
            if not self._begun[organization_id]:
                del self._begun[organization_id]

    def _is_slow(self, organization_id: UUID) -> bool:
        now = self._clock()
        begun = self._begun.get(organization_id, ())
        was_slow = now < self._slow_until.get(organization_id, 0.0)
        if sum(now - each > SECONDS_THAT_ARE_LONG for each in begun) >= self._half:
            self._slow_until[organization_id] = now + SECONDS_TO_REMEMBER
            if not was_slow:
                logger.warning("organization.busy", organization_id=str(organization_id))
            return True
        if not was_slow:
            self._slow_until.pop(organization_id, None)
        return was_slow


slots = ThreadSlots(max(1, settings.WEB_THREADS // 2))
