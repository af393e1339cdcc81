"""Deadlines for requests to a bucket, and how many threads may wait for it.

The timeouts of botocore and urllib3 apply to each read of a socket: a response that arrives byte by
byte never ends. A deadline here ends the connection from outside.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import BotoCoreError
from urllib3.exceptions import ProtocolError

REQUEST_SECONDS = 7.0
"""For a request without a body, to the last byte of the response, which is at most half a megabyte.
A body may take longer if it is sent at the minimum pace.
"""
MIN_PACE = 256 * 1024
"""Bytes of a body in a second."""
SLOW_AFTER = 1.0
"""Seconds after which a request counts as slow: while one of them is, nobody waits for a slot."""
MAX_WAIT_SECONDS = 2.0
"""How long a thread waits for a slot at most."""

_current = threading.local()


class BucketIsSlow(BotoCoreError):
    """The maximum number of threads is waiting for the bucket already."""

    fmt = "Too many requests wait for the bucket."


class BucketTimedOut(BotoCoreError):
    """A request to the bucket was not over at its deadline."""

    fmt = "The bucket did not complete its response in time."


class Deadline:
    """The deadline of one thread's requests to the bucket. After it nothing more is sent."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moved_at = time.monotonic()
        self.is_over = False
        self._socket: socket.socket | None = None
        self._lock, self._done = threading.Lock(), threading.Event()

    @property
    def age(self) -> float:
        """Seconds since the request began, without those that the minimum pace allows for what it
        has sent.
        """
        return time.monotonic() - self._moved_at

    def restart(self) -> None:
        self._moved_at = time.monotonic()

    def allow_for(self, sent: int) -> None:
        """Count these bytes. A fast part of a body gives no time to the rest of the request."""
        self._moved_at = min(self._moved_at + sent / MIN_PACE, time.monotonic())

    def require_in_time(self) -> None:
        """Raise BucketTimedOut after the deadline: a head that it cut off may look complete."""
        if self.is_over:
            raise BucketTimedOut

    def begin(self, connection: socket.socket) -> None:
        """Watch a request that uses this connection."""
        with self._lock:
            if self.is_over:
                raise ProtocolError("The deadline for the bucket is over.")
            # A socket of its own, because TLS and responses take the connection's over.
            self._close()
            self._socket = socket.socket(fileno=os.dup(connection.fileno()))
            self.restart()

    def watch(self) -> None:
        while not self._done.wait(max(self.seconds - self.age, 0.0)):
            if self.age < self.seconds:
                continue
            with self._lock:
                self.is_over = True
                if self._socket is not None:
                    with suppress(OSError):
                        self._socket.shutdown(socket.SHUT_RDWR)
            return

    def end(self) -> None:
        self._done.set()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextmanager
def watched(deadline: Deadline) -> Iterator[Deadline]:
    """Apply the deadline to each request that this thread sends in the block."""
    _current.deadline = deadline
    threading.Thread(target=deadline.watch, name="bucket-deadline", daemon=True).start()
    try:
        yield deadline
    finally:
        del _current.deadline
        deadline.end()


class BucketSlots:
    """How many threads of a process may wait for the bucket at a time."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._taken: set[Deadline] = set()
        self._freed = threading.Condition()

    @contextmanager
    def hold(self) -> Iterator[Deadline]:
        """Hold a slot, with a deadline for each request. Raise BucketIsSlow at once if all slots
        are taken and the bucket is slow, and after MAX_WAIT_SECONDS if they stay taken.
        """
        if (outer := getattr(_current, "deadline", None)) is not None:
            yield outer  # this thread holds a slot
            return
        mine = Deadline(REQUEST_SECONDS)
        with self._freed:
            self._wait()
            mine.restart()
            self._taken.add(mine)
        try:
            with watched(mine):
                yield mine
        finally:
            with self._freed:
                self._taken.discard(mine)
                self._freed.notify()

    def _wait(self) -> None:
        until = time.monotonic() + MAX_WAIT_SECONDS
        while len(self._taken) >= self._number:
            slowest = max(each.age for each in self._taken)
            left = min(SLOW_AFTER - slowest, until - time.monotonic())
            if left <= 0:
                raise BucketIsSlow
            self._freed.wait(left)


class _WithDeadline:
    """A connection that tells the thread's deadline what it does."""

    sock: Any

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            _begin(connection)
        except ProtocolError:
            connection.close()
            raise
        return connection

    def request(self, *arguments: Any, **named: Any) -> Any:
        if self.sock is not None:
            _begin(self.sock)
        return super().request(*arguments, **named)  # type: ignore[misc]

    def send(self, data: Any) -> Any:
        sent = super().send(data)  # type: ignore[misc]
        current = getattr(_current, "deadline", None)
        if current is not None and isinstance(data, bytes):
            current.allow_for(len(data))
        return sent


def _begin(connection: socket.socket) -> None:
    if (current := getattr(_current, "deadline", None)) is not None:
        current.begin(connection)


class _Connection(_WithDeadline, AWSHTTPConnection):
    pass


class _SecureConnection(_WithDeadline, AWSHTTPSConnection):
    pass


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(AWSHTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def observe(client: Any) -> None:
    """Let deadlines end the connections of this client of botocore, which has no setting for it."""
    session = client._endpoint.http_session
    pools = {"http": _Pool, "https": _SecurePool}
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = pools
