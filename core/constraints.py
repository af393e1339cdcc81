"""What a constraint of the database refuses, said as the check before it would have said it.

Two requests can pass a check at the same moment; the constraint lets one of them through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from core.errors import DomainError

UNIQUE_VIOLATION = "23505"


@contextmanager
def refusing(**refusals: Callable[[], DomainError]) -> Iterator[None]:
    """Run statements in a savepoint; a broken constraint that is named raises its refusal.

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
    """The name of the constraint, as PostgreSQL reports it; empty if it names none."""
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def is_duplicate(error: BaseException | None) -> bool:
    """Whether two requests stored what may exist once, and this one came second."""
    state = getattr(getattr(error, "__cause__", None), "sqlstate", None)
    return isinstance(error, IntegrityError) and state == UNIQUE_VIOLATION
