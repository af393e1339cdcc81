"""The tracer, by which a job reports its progress. Every event is stored at once; a lost lease
interrupts the job.
"""

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from executions import actions, leases
from executions.event_log import NewEvent, append_to_locked
from executions.json_text import with_form
from executions.models import Execution, ExecutionEvent, ExecutionHasEnded, LeaseLost
from executions.quotas import Amounts, require_room, size_of
from organizations.tenancy.scope import organization_scope

WRITE_ATTEMPTS = 10
Kind, Status = ExecutionEvent.Kind, Execution.Status
Outage = (OperationalError, InterfaceError)


class Interrupted(BaseException):
    """The execution was stopped or taken over. Not an `Exception`, so that no job catches it by
    accident.
    """


@dataclass(eq=False)
class Tracer:
    """A job's view of its execution, and its means to report progress."""

    organization_id: UUID
    execution_id: UUID
    generation: int
    name: str
    inputs: dict[str, Any]
    _is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether the execution was stopped or taken over; long computations should poll it."""
        return self._is_over.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but wake up when the execution is over."""
        if self._is_over.wait(seconds):
            raise Interrupted

    def stdout(self, text: str) -> None:
        self._write((Kind.STDOUT, text))

    def stderr(self, text: str) -> None:
        self._write((Kind.STDERR, text))

    def debug(self, *parts: object) -> None:
        self._write((Kind.DEBUG, "\n".join(map(str, parts))))

    def action(self, value: Any) -> None:
        self._write((Kind.ACTION, with_form(value)))

    def result(self, value: Any) -> None:
        """Report an intermediate result; the final one is the job's return value."""
        self._write((Kind.RESULT, with_form(value)))

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost: Decimal | None = None,
    ) -> None:
        """Report the total usage so far; `cost` is in US dollars."""
        self._write(input_tokens=input_tokens, output_tokens=output_tokens, cost=cost)

    def has_begun(self) -> None:
        self._write((Kind.STATUS, Status.RUNNING))

    def has_finished(self, value: Any) -> None:
        final = [] if value is None else [(Kind.FINAL, with_form(value))]
        self._write_persistently(*final, (Kind.STATUS, Status.FINISHED))

    def has_failed(self, error: str) -> None:
        """Report a failure; the organization's storage limits do not apply to it."""
        self._write_persistently((Kind.ERROR, error), (Kind.STATUS, Status.ERROR), may_exceed=True)

    def mark_lost(self) -> None:
        """Make the job's next report raise Interrupted."""
        self._is_over.set()

    def _write_persistently(self, *events: tuple[str, str], may_exceed: bool = False) -> None:
        """Write with retries, so that a short outage of the database does not lose the end."""
        for _ in range(WRITE_ATTEMPTS - 1):
            try:
                return self._write(*events, may_exceed=may_exceed)
            except Outage:
                connection.close()
                self.wait(1)
        return self._write(*events, may_exceed=may_exceed)

    def _write(self, *events: tuple[str, str], may_exceed: bool = False, **fields: Any) -> None:
        if self.is_over:
            raise Interrupted
        try:
            with organization_scope(self.organization_id):
                locked = Execution.objects.select_for_update().without_content()
                execution = locked.get(pk=self.execution_id)
                leases.require_lease(execution, self.generation)
                leases.renew(execution)
                at = actions.moment(execution)
                new_events = [NewEvent(at, kind, storable(message)) for kind, message in events]
                if new_events and not may_exceed:
                    require_room(execution.organization, Amounts(event_bytes=size_of(new_events)))
                append_to_locked(execution, new_events, **fields)
        except (LeaseLost, ExecutionHasEnded, Execution.DoesNotExist):
            self.mark_lost()
            raise Interrupted from None


def storable(text: str) -> str:
    """The text without NUL and unpaired surrogates, which PostgreSQL cannot store."""
    return (
        text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
