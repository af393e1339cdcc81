"""Turns a violated database constraint into the error that the check before it would have raised.

Two requests can pass the same check at once; the constraint lets only one of them through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from core.errors import DomainError

UNIQUE_VIOLATION = "23505"


@contextmanager
def refusing(**refusals: Callable[[], DomainError]) -> Iterator[None]:
    """Run statements in a savepoint; a violation of a named constraint raises its error instead.

    `refusing(agents_agent_email_unique=AgentAlreadyExists)`
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        refusal = refusals.get(broken_constraint(error))
        if refusal is None:
            raise
        raise refusal() from error


def broken_constraint(error: BaseException) -> str:
    """The name of the violated constraint as PostgreSQL reports it, or an empty string."""
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def is_duplicate(error: BaseException | None) -> bool:
    """Whether the error is a unique violation: another request stored the same thing first."""
    state = getattr(getattr(error, "__cause__", None), "sqlstate", None)
    return isinstance(error, IntegrityError) and state == UNIQUE_VIOLATION
