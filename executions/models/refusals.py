"""Errors that refuse a change of an execution."""

from __future__ import annotations

from core.errors import DomainError, NotFound


class ExecutionNotFound(NotFound):
    code = "EXECUTION_NOT_FOUND"
    message = "There is no execution with this id."


class ErrorGroupNotFound(NotFound):
    code = "ERROR_GROUP_NOT_FOUND"
    message = "There is no error with this fingerprint."


class ResolutionNotFound(NotFound):
    code = "RESOLUTION_NOT_FOUND"
    message = "This group of errors is not resolved."


class ExecutionHasEnded(DomainError):
    code = "EXECUTION_ENDED"
    message = "The execution has ended; it accepts no more events."


class IllegalTransition(DomainError):
    code = "ILLEGAL_TRANSITION"
    message = "The execution cannot change from its current status to this one."


class EventAfterEnd(DomainError):
    """An event after the end; none of the batch was stored.

    `details` name the event and the execution's status.
    """

    code = "EVENT_AFTER_END"
    message = "The batch has an event after the one that ends the execution."


class LeaseLost(DomainError):
    code = "LEASE_LOST"
    message = "Another worker has taken over, or the lease has expired."
