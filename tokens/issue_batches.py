"""Token requests that wait in one process go to the database together.

A commit costs more than the rest of a token's work in the database. Whoever finds nobody asking
asks at once. Those that come in the meantime wait for that answer, and then go together, in one
statement and one commit: no timer and no thread of its own, and no delay for a single caller.
"""

from collections import deque
from threading import Lock

import structlog
from django.db import Error, OperationalError, connection

from tokens.issue_sql import Issue, Question, call_issue, call_issue_batch, was_reported

logger = structlog.get_logger(__name__)

MAX_BATCH = 16


class Waiter:
    """A thread that waits for its verdict, or for its turn to ask for itself and others."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.issue: Issue | None = None
        self.is_lost = False
        self.led: list[Waiter] = []
        """The requests to ask for, itself included, once it is its turn."""
        self._turn = Lock()
        self._turn.acquire()

    def wait(self) -> None:
        self._turn.acquire()

    def wake(self) -> None:
        self._turn.release()


class Batches:
    """The requests of one process. One thread asks at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_asking = False
        self._waiting: deque[Waiter] = deque()

    def ask(self, question: Question) -> Issue | None:
        """The verdict, or None if the request must be asked alone: it has had no effect yet.

        Nobody here waits for the locks of another request, except for a moment. Raise
        OperationalError if the connection was lost: whether the token was recorded is not known.
        """
        waiter = Waiter(question)
        with self._lock:
            if self._is_asking:
                self._waiting.append(waiter)
            else:
                self._is_asking = True
                waiter.led = [waiter]
        if not waiter.led:
            waiter.wait()
        if waiter.led:
            self._ask_for(waiter.led)
        if waiter.is_lost:
            raise OperationalError("The connection to the database is lost.")
        return waiter.issue

    def _ask_for(self, waiters: list[Waiter]) -> None:
        """Ask for all of them, then let the next thread ask and wake the others."""
        try:
            for waiter, issue in zip(waiters, _verdicts(waiters), strict=True):
                waiter.issue = issue
        except Error as error:
            is_lost = not was_reported(error)
            if is_lost or len(waiters) > 1:
                logger.warning("token.batch_failed", size=len(waiters), error=type(error).__name__)
            for waiter in waiters:
                waiter.is_lost = is_lost
        except BaseException:
            for waiter in waiters:
                waiter.is_lost = True
            raise
        finally:
            self._hand_over()
            for waiter in waiters[1:]:
                waiter.wake()

    def _hand_over(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_asking = False
                return
            size = min(MAX_BATCH, len(self._waiting))
            led = [self._waiting.popleft() for _ in range(size)]
            led[0].led = led
        led[0].wake()


def _verdicts(waiters: list[Waiter]) -> list[Issue | None]:
    if len(waiters) == 1:
        return [call_issue(waiters[0].question, is_soon=True)]
    return call_issue_batch([waiter.question for waiter in waiters])


def issue(question: Question) -> Issue:
    """The verdict on a token request. Outside of a transaction, its row is durable afterwards."""
    if connection.in_atomic_block:
        return call_issue(question)
    return batches.ask(question) or call_issue(question)


batches = Batches()
