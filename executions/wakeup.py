"""Waking the pollers of other processes through Redis, if configured, when something was written.

Only the fact is sent, never content. A lost message merely delays the news until the poller's next
tick.
"""

import asyncio
import os
import time
from collections.abc import Callable
from functools import cache
from threading import Event, Lock, Thread
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

logger = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 0.25
RETRY_PAUSE_SECONDS = 5.0
"""The pause after a failure."""


class Announcer:
    """Publishes announcements from a thread of its own, so that a slow Redis delays no request.

    Those that come while it publishes are one.
    """

    def __init__(self, url: str, channel: str) -> None:
        import redis

        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._channel = channel
        self._is_wanted, self._is_closed = Event(), False
        self._lock, self._process = Lock(), 0

    def announce(self) -> None:
        self._is_wanted.set()
        with self._lock:
            if self._process != os.getpid():  # a fork has no threads
                self._process = os.getpid()
                Thread(target=self._publish, name="wakeup", daemon=True).start()

    def _publish(self) -> None:
        while self._is_wanted.wait() and not self._is_closed:
            self._is_wanted.clear()
            try:
                self._redis.publish(self._channel, b"")
            except self._errors as error:
                logger.warning("wakeup.unavailable", error=type(error).__name__)
                time.sleep(RETRY_PAUSE_SECONDS)
        self._redis.close()

    def close(self) -> None:
        self._is_closed = True
        self._is_wanted.set()


def channel_name() -> str:
    """The channel's name, unique to this deployment, because several may share a Redis."""
    return f"agentidp:executions:{settings.ISSUER}"


@cache
def announcer() -> Announcer | None:
    return Announcer(settings.REDIS_URL, channel_name()) if settings.REDIS_URL else None


def announce_on_commit() -> None:
    """Wake the pollers after the current transaction commits."""
    found = announcer()
    if found is not None:
        transaction.on_commit(found.announce, robust=True)


async def listen(url: str, channel: str, wake: Callable[[], None]) -> None:
    """Call `wake` for every announcement until cancelled; reconnects when Redis is unavailable."""
    import redis.asyncio

    while True:
        client: Any = redis.asyncio.Redis.from_url(url, socket_connect_timeout=5)
        try:
            async with client.pubsub() as subscription:
                await subscription.subscribe(channel)
                async for message in subscription.listen():
                    if message["type"] == "message":
                        wake()
        except (redis.RedisError, OSError) as error:
            logger.warning("wakeup.unavailable", error=type(error).__name__)
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
        finally:
            await client.aclose()
