"""Database outages: statements that failed now and may succeed later. They become a 503."""

from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError

from core.errors import CODES, MESSAGES

logger = structlog.get_logger("core.handlers")


@dataclass(frozen=True)
class Outage:
    """How an outage is reported to the client and in the log."""

    code: str = CODES[503]
    message: str = MESSAGES[503]
    retry_after: int = 2
    """In seconds."""
    event: str = "database.unavailable"


AWAY = Outage()
LOCKED = Outage(
    message="Another request was changing the same data and did not finish in time. "
    "Try again shortly.",
    event="database.locked",
)
TOO_SLOW = Outage(
    code="QUERY_TIMEOUT",
    message="The database took too long for this. Ask for less, such as a shorter span of time or "
    "a narrower search, or try again later.",
    retry_after=30,
    event="database.timeout",
)
TIMEOUTS = {"55P03": LOCKED, "57014": TOO_SLOW}
"""By SQLSTATE: lock_not_available and query_canceled (statement_timeout)."""
IDLED = "25P03"
"""The SQLSTATE idle_in_transaction_session_timeout: this process had stood still, and the database
has undone the transaction and closed the connection."""


def is_database_outage(error: BaseException | None) -> bool:
    """Whether the database is unavailable or hit a limit of time or a lock, as opposed to having
    rejected the statement. The same request may succeed shortly."""
    return isinstance(error, (OperationalError, InterfaceError)) or _state_of(error) == IDLED


def outage_of(error: BaseException | None) -> Outage | None:
    """The outage behind the error, which is logged, or None for any other error."""
    if not is_database_outage(error):
        return None
    outage = TIMEOUTS.get(_state_of(error), AWAY)
    logger.warning(outage.event, error=type(error).__name__)
    return outage


def _state_of(error: BaseException | None) -> str:
    return getattr(getattr(error, "__cause__", None), "sqlstate", None) or ""
