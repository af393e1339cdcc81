"""Keeps one organization, or all of one person, from occupying every thread of a process.

A thread may wait for seconds: for a locked row, for file storage, for a large query. As long as
requests are fast, all threads are shared. An organization whose slow requests occupy half of them
is limited to that half for a while, and so is one with so many requests that others wait.
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

SLOW_REQUEST_SECONDS = 3.0
WINDOW_SECONDS = 60.0
"""How long a slow organization stays limited, and how long one that sent a request is present."""
MAX_WAIT_SECONDS = 0.3
"""How long a request may have waited for a thread before its organization has too many."""


class OrganizationBusy(DomainError):
    code = CODES[503]
    status = 503
    message = (
        "Other requests from your organization are taking a long time, so no more are "
        "accepted for now. Try again shortly."
    )
    retry_after = 2


class OrganizationFlooding(OrganizationBusy):
    message = (
        "Your organization is sending too many requests at once, and others have to wait. "
        "Try again shortly."
    )
    retry_after = 1


class ThreadSlots:
    """Counts the requests in progress in this process by organization, or rather by whose share it
    takes (shares.py): all organizations of one person count as one.

    `half` is half of its threads.

    A request of an organization is refused when three things are true: the organization holds half
    of the threads, this request has waited for its thread longer than MAX_WAIT_SECONDS, and another
    organization has asked for something in the last minute.

    - A request holds a thread already when its organization becomes known, so it cannot wait here
      for its turn: it would keep others waiting. Refusing it takes a millisecond or two, and so
      those of others behind it get their turn.
    - Free threads are no measure of a flood. Eight workers of one client keep eight threads busy
      and delay others by part of one request; they are refused only if that is longer than
      MAX_WAIT_SECONDS. Sixty have fifty requests waiting in front of everybody. The time that a
      request has waited tells the two apart, under both servers.
    - An organization that is alone in a process is never refused: nobody gains from it.

    Organizations that each hold less than half of the threads are not refused either, however many
    wait: then all wait alike, and more processes are what helps.
    """

    def __init__(self, half: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._half, self._clock, self._lock = half, clock, Lock()
        self._begun: defaultdict[UUID, list[float]] = defaultdict(list)
        self._slow_until: dict[UUID, float] = {}
        self._flood_logged_until = 0.0
        nobody = (UUID(int=0), -WINDOW_SECONDS)
        self._latest = self._latest_other = nobody
        """Who has asked last, and who before them that is another; each with the time."""

    @contextmanager
    def hold(self, share: UUID, waited: float = 0.0) -> Iterator[None]:
        """Count a request, which has waited so many seconds for its thread, during the block.

        Raise OrganizationBusy if the organization has too many.
        """
        began = self._begin(share, waited)
        try:
            yield
        finally:
            self._end(share, began)

    def _begin(self, share: UUID, waited: float) -> float:
        with self._lock:
            is_slow, is_alone = self._is_slow(share), self._is_alone(share)
            begun = self._begun[share]
            if len(begun) >= self._half:
                if is_slow:
                    raise OrganizationBusy
                if waited > MAX_WAIT_SECONDS and not is_alone:
                    self._log_flood(share)
                    raise OrganizationFlooding
            begun.append(self._clock())
            return begun[-1]

    def _end(self, share: UUID, began: float) -> None:
        with self._lock:
            # Checked here as well: with all threads waiting, no request begins.
            self._is_slow(share)
            self._begun[share].remove(began)
            if not self._begun[share]:
                del self._begun[share]

    def _log_flood(self, share: UUID) -> None:
        """At most once a minute, since refusals are many."""
        if self._clock() >= self._flood_logged_until:
            self._flood_logged_until = self._clock() + WINDOW_SECONDS
            logger.warning("organization.flooding", share=str(share))

    def _is_alone(self, share: UUID) -> bool:
        """Whether no other has asked lately. This one asks now."""
        now = self._clock()
        if self._latest[0] != share:
            self._latest_other = self._latest
        self._latest = share, now
        return self._latest_other[1] <= now - WINDOW_SECONDS

    def _is_slow(self, share: UUID) -> bool:
        now = self._clock()
        begun = self._begun.get(share, ())
        was_slow = now < self._slow_until.get(share, 0.0)
        if sum(now - each > SLOW_REQUEST_SECONDS for each in begun) >= self._half:
            self._slow_until[share] = now + WINDOW_SECONDS
            if not was_slow:
                logger.warning("organization.busy", share=str(share))
            return True
        if not was_slow:
            self._slow_until.pop(share, None)
        return was_slow


slots = ThreadSlots(max(1, settings.WEB_THREADS // 2))
