"""Why a change of an execution was refused."""

from __future__ import annotations

from core.errors import DomainError, NotFound


class ExecutionNotFound(NotFound):
    code = "EXECUTION_NOT_FOUND"
    message = "There is no execution with this id."


class ExecutionHasEnded(DomainError):
    code = "EXECUTION_ENDED"
    message = "The execution has ended; it accepts no more events."


class IllegalTransition(DomainError):
    code = "ILLEGAL_TRANSITION"
    message = "The execution cannot go from its status to this one."


class EventAfterEnd(DomainError):
    """`details` name the event and the status of the execution, which none of the batch changed."""

    code = "EVENT_AFTER_END"
    message = "The batch has an event after the one that ends the execution."


class LeaseLost(DomainError):
    code = "LEASE_LOST"
    message = "Another worker has taken over, or the lease has expired."
