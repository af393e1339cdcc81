"""Storage limits of an organization.

Three amounts are limited: executions, the bytes of their events and the bytes of their files. A
row's overhead is counted too, or a flood of empty rows would be free.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db import connection

from core.errors import DomainError
from core.throttling import Quota, count_attempt, throttle_key
from executions.models import DeletedExecution, ExecutionEvent
from organizations.models import AuditChain, Organization
from organizations.tenancy.shares import share_of

EVENT_BYTES = 128
"""The overhead of an event beside its message. executions_executionevent_stored_insert and its
siblings in executions/sql/ count the same."""
ERROR_BYTES = 2048
"""The same of an error, which is also a row in the list of errors and up to six counts of its
group. Thousands of short errors, each of another kind and day, took 1.1 times what is counted, and
those with 2,000 letters, which both rows contain, 1.9 times."""
FILE_BYTES = 1024
"""The overhead of a file beside its content."""
ENDING_BYTES = 4096 + ERROR_BYTES
"""What an execution may still report at its end when there is no room."""
PARALLEL = 64
"""Writers queue as soon as this many at once could exceed the limit together."""


class Event(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def message(self) -> str: ...


@dataclass(frozen=True)
class Amounts:
    executions: int = 0
    event_bytes: int = 0
    file_bytes: int = 0


class StorageLimitReached(DomainError):
    """The organization would exceed a storage limit.

    `details` name the limit, the amount used, and the amount requested.
    """

    code = "STORAGE_LIMIT_REACHED"


WHAT = {
    "executions": ("maxExecutions", "The organization has {} of at most {} executions"),
    "event_bytes": ("maxEventBytes", "The events of the organization take {} of at most {} bytes"),
    "file_bytes": ("maxFileBytes", "The files of the organization take {} of at most {} bytes"),
}
HOW = (
    "To get room, delete executions or keep them for fewer days (Settings of the "
    "organization), or ask the operator of this deployment for a higher limit."
)


def stored(organization: Organization) -> Amounts:
    """The committed storage use of the organization in scope."""
    with connection.cursor() as cursor:
        cursor.execute(STORED, [organization.pk])
        return Amounts(*map(int, cursor.fetchone()))


def kept(organization: Organization) -> dict[str, int]:
    """What cannot be deleted of the organization in scope: audit events, and the tombstones of
    deleted executions. Quotas bound how fast they grow (organizations/audit/recorded_changes.py).
    """
    chain = AuditChain.objects.filter(organization=organization).first()
    tombstones = DeletedExecution.objects.for_organization(organization)
    return {
        "audit_events": chain.sequence if chain else 0,
        "audit_bytes": chain.event_bytes if chain else 0,
        "deleted_executions": tombstones.count(),
    }


STORED = """
SELECT coalesce(sum(executions), 0), coalesce(sum(event_bytes), 0), coalesce(sum(file_bytes), 0)
FROM executions_storedchange WHERE organization_id = %s
"""


def limits_of(organization: Organization) -> Amounts:
    def limit(own: int | None, usual: int) -> int:
        return usual if own is None else own

    return Amounts(
        executions=limit(organization.max_executions, settings.MAX_EXECUTIONS),
        event_bytes=limit(organization.max_event_bytes, settings.MAX_EVENT_BYTES),
        file_bytes=limit(organization.max_file_bytes, settings.MAX_FILE_BYTES),
    )


def size_of(events: Iterable[Event]) -> int:
    """The bytes that these events take."""
    return sum(
        len(event.message.encode())
        + (ERROR_BYTES if event.kind == ExecutionEvent.Kind.ERROR else EVENT_BYTES)
        for event in events
    )


def require_room(organization: Organization, wanted: Amounts) -> None:
    """Raise StorageLimitReached when the organization has no room for the wanted amounts.

    Call it after locking an execution and before storing anything. Requests for executions or files
    queue until the one before has committed, so that they cannot exceed a limit together; for
    events, which are many, writers queue only near the limit.
    """
    limits = limits_of(organization)
    is_rare = wanted.executions or wanted.file_bytes
    if not is_rare and _fits(stored(organization), wanted, limits, times=PARALLEL):
        return
    with connection.cursor() as cursor:
        cursor.execute(QUEUE, [str(organization.pk)])
    held = stored(organization)
    if not _fits(held, wanted, limits):
        raise _refusal(held, wanted, limits)


QUEUE = "SELECT pg_advisory_xact_lock(hashtextextended('storage of ' || %s, 0))"


def require_turn(organization: Organization) -> None:
    """Raise TooManyRequests when the organization has started too many executions in a minute."""
    quota = Quota(settings.EXECUTIONS_PER_MINUTE, timedelta(minutes=1))
    count_attempt(throttle_key("executions", share_of(organization.pk)), quota)


def _fits(held: Amounts, wanted: Amounts, limits: Amounts, times: int = 1) -> bool:
    return not any(_exceeded(held, wanted, limits, times))


def _exceeded(held: Amounts, wanted: Amounts, limits: Amounts, times: int = 1) -> Iterable[str]:
    for field in fields(Amounts):
        more = getattr(wanted, field.name)
        most = getattr(limits, field.name)
        if more and getattr(held, field.name) + times * more > most:
            yield field.name


def _refusal(held: Amounts, wanted: Amounts, limits: Amounts) -> StorageLimitReached:
    name = next(iter(_exceeded(held, wanted, limits)))
    used, most, more = (getattr(amounts, name) for amounts in (held, limits, wanted))
    limit, sentence = WHAT[name]
    return StorageLimitReached(
        f"{sentence.format(f'{used:,}', f'{most:,}')}; this needs {more:,} more. {HOW}",
        limit=limit,
        used=used,
        maximum=most,
        needed=more,
    )
