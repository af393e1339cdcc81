"""Leases: only the holder of its lease may write to an execution that runs.

Each new holder gets a higher generation, and a former holder that returns with an older one is
refused (a fencing token). A lapsed lease stays valid until the reaper ends the execution or another
holder takes over, so an outage of the database alone ends nothing. The reaper judges by
the database's clock, so that clock grants and renews leases: by a clock behind it they would lapse.
"""

from collections import Counter
from datetime import timedelta
from uuid import UUID

from django.db import connection

from core.database_clock import database_time
from core.errors import InvalidValue
from executions.models import Execution, LeaseLost
from organizations.tenancy.shares import shares_of

HEADER = "X-Lease-Generation"
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 5, 60, 24 * 3600
BATCH = 1000


def grant(execution: Execution, seconds: int) -> None:
    """Make the caller the holder and invalidate all earlier generations. Does not save."""
    execution.lease_generation += 1
    execution.lease_seconds = seconds
    execution.lease_expires_at = database_time() + timedelta(seconds=seconds)


def renew_if_due(execution: Execution) -> None:
    """Renew the lease and save it, but only after a third of it has passed."""
    if execution.lease_expires_at is None or not execution.lease_seconds:
        return
    left = (execution.lease_expires_at - database_time()).total_seconds()
    if left < execution.lease_seconds * 2 / 3:
        renew(execution)
        execution.save(update_fields=["lease_expires_at"])


def renew(execution: Execution, seconds: int | None = None) -> None:
    """Renew the lease. Does not save."""
    execution.lease_seconds = seconds or execution.lease_seconds
    if execution.lease_seconds and not execution.has_ended:
        execution.lease_expires_at = database_time() + timedelta(seconds=execution.lease_seconds)


def require_lease(execution: Execution, generation: int | None) -> None:
    """Raise LeaseLost unless the locked execution's lease has this generation (0: it has no lease).

    The error does not name the current generation, which only the holder may know.
    """
    if generation is None and execution.lease_generation:
        problem = (
            "The execution has a lease: send the generation that you hold, or take "
            "it over by a heartbeat with takeOver."
        )
        raise InvalidValue.of(HEADER, problem)
    if (generation or 0) != execution.lease_generation:
        raise LeaseLost


def revoke(execution: Execution) -> None:
    """Invalidate the holder's generation and leave the lease without a holder. Does not save."""
    execution.lease_generation += 1
    execution.lease_expires_at = None


def is_revoked(execution: Execution) -> bool:
    """Whether the lease was revoked and nobody has taken it since."""
    return execution.lease_generation > 0 and execution.lease_expires_at is None


def silence(execution: Execution) -> int:
    """Seconds since the holder's last sign of life."""
    lasted = timedelta(seconds=execution.lease_seconds or 0)
    now = database_time()
    heard_at = (execution.lease_expires_at or now) - lasted
    return round((now - heard_at).total_seconds())


def lapsed_leases() -> list[tuple[UUID, UUID]]:
    """The organization and execution ids of lapsed leases, in one query over all organizations.

    Of an organization the oldest BATCH, and shares take turns, as do the organizations of one
    share: whoever has many lapsed leases does not keep the others waiting.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organization_id, execution_id FROM executions_lapsed_leases(%s) "
            "WITH ORDINALITY AS found (organization_id, execution_id, place) "
            "ORDER BY row_number() OVER (PARTITION BY organization_id ORDER BY place), place",
            [BATCH],
        )
        found = cursor.fetchall()
    shares = shares_of({organization_id for organization_id, _ in found})
    turns: Counter[UUID] = Counter()
    in_turns = []
    for organization_id, execution_id in found:
        turns[shares[organization_id]] += 1
        in_turns.append((turns[shares[organization_id]], organization_id, execution_id))
    in_turns.sort(key=lambda each: each[0])
    return [(organization_id, execution_id) for _, organization_id, execution_id in in_turns]
