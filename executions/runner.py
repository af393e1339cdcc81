"""Executions that a worker of ours runs. A job is a plain function that gets a tracer.

`launch` stores the execution and enqueues it in one transaction. A worker claims it with a lease,
says every few seconds that it lives, and writes only as long as nobody has taken the lease away.
The row is the truth, not the queue: a job that is delivered twice runs once.
"""

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from agents.models import Agent
from executions import actions, leases
from executions.event_log import NewEvent, append_to_locked, tagged, with_form
from executions.models import (
    UNKNOWN_AGENT,
    Execution,
    ExecutionEvent,
    ExecutionHasEnded,
    ExecutionUser,
    LeaseLost,
    new_execution,
)
from executions.quotas import Amounts, require_room, require_turn, size_of
from organizations.actors import Actor
from organizations.tenancy.scope import organization_scope

LEASE, BEAT = 15, 5.0
"""Seconds that a lease lasts, and from one sign of life to the next."""
WRITE_ATTEMPTS = 10
TASK = "executions.run"
QUEUE = "executions"
Kind, Status = ExecutionEvent.Kind, Execution.Status
Outage = (OperationalError, InterfaceError)

logger = structlog.get_logger(__name__)


class Interrupted(BaseException):
    """The execution was stopped or taken over. No `except Exception` of a job holds this up."""


@dataclass(frozen=True)
class Job:
    function: Callable[["Tracer"], Any]
    retries: int
    """How often it may be tried again after its worker was lost. 0: it must not run twice."""


JOBS: dict[str, Job] = {}


def job(name: str, *, retries: int = 0) -> Callable[[Callable[["Tracer"], Any]], Any]:
    """Make the function one that `launch` finds by name."""

    def register(function: Callable[["Tracer"], Any]) -> Callable[["Tracer"], Any]:
        JOBS[name] = Job(function, retries)
        return function

    return register


@transaction.atomic
def launch(
    name: str,
    *,
    actor: Actor,
    inputs: dict[str, Any] | None = None,
    description: dict[str, Any] | None = None,
    agent: Agent | None = None,
    user: ExecutionUser | None = None,
) -> Execution:
    """A queued execution of the job, for `user`. It begins once this transaction is committed.

    Without an `agent` its summary or the job's name stands for the agent's.
    """
    execution = new_execution(
        actor.organization,
        source=Execution.Source.WORKER,
        agent=agent,
        agent_name=agent.name if agent else UNKNOWN_AGENT,
        user=user,
    )
    at = execution.start_time
    meta = {"fid": execution.fid, "entry_point": name} | (description or {})
    events = [
        NewEvent(at, Kind.INPUTS, tagged(inputs or {})),
        NewEvent(at, Kind.META, tagged(meta)),
    ]
    require_room(actor.organization, Amounts(executions=1, event_bytes=size_of(events)))
    require_turn(actor.organization)
    execution.save(force_insert=True)
    execution = append_to_locked(execution, events)
    _enqueue(execution)
    return execution


def _enqueue(execution: Execution) -> None:
    app.configure_task(TASK, queue=QUEUE).defer(
        organization_id=str(execution.organization_id), execution_id=str(execution.pk)
    )


@dataclass(eq=False)
class Tracer:
    """What a job knows about its execution, and how it tells what it does."""

    organization_id: UUID
    execution_id: UUID
    generation: int
    name: str
    inputs: dict[str, Any]
    _is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether the execution was stopped or taken over; a long computation asks now and then."""
        return self._is_over.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the execution lasts."""
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
        """An intermediate result; a final one is what the job returns."""
        self._write((Kind.RESULT, with_form(value)))

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost: Decimal | None = None,
    ) -> None:
        """What it has used in all until now; `cost` in US dollars."""
        self._write(input_tokens=input_tokens, output_tokens=output_tokens, cost=cost)

    def has_begun(self) -> None:
        self._write((Kind.STATUS, Status.RUNNING))

    def has_finished(self, value: Any) -> None:
        final = [] if value is None else [(Kind.FINAL, with_form(value))]
        self._insist(*final, (Kind.STATUS, Status.FINISHED))

    def has_failed(self, error: str) -> None:
        """The organization's limits do not keep it from saying so."""
        self._insist((Kind.ERROR, error), (Kind.STATUS, Status.ERROR), may_exceed=True)

    def lose(self) -> None:
        """Let the job notice, at the next thing it tells, that it may not go on."""
        self._is_over.set()

    def _insist(self, *events: tuple[str, str], may_exceed: bool = False) -> None:
        """The end must not get lost in a short outage of the database."""
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
                told = [NewEvent(at, kind, _storable(message)) for kind, message in events]
                if told and not may_exceed:
                    require_room(execution.organization, Amounts(event_bytes=size_of(told)))
                append_to_locked(execution, told, **fields)
        except (LeaseLost, ExecutionHasEnded, Execution.DoesNotExist):
            self.lose()
            raise Interrupted from None


def _storable(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half of a surrogate pair."""
    return (
        text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def run(organization_id: UUID, execution_id: UUID) -> None:
    """Run the execution here and now, unless somebody else has it or it has ended."""
    tracer = claim(organization_id, execution_id)
    if tracer is None:
        return
    with heart.beating_for(tracer):
        try:
            found = JOBS.get(tracer.name)
            if found is None:
                tracer.has_failed(f"There is no job named {tracer.name}.")
                return
            tracer.has_begun()
            tracer.has_finished(found.function(tracer))
        except Interrupted:
            logger.info("execution.interrupted", execution_id=str(execution_id))
        except (Exception, SystemExit) as error:
            _fail(tracer, error)


def _fail(tracer: Tracer, error: BaseException) -> None:
    frames = error.__traceback__.tb_next if error.__traceback__ else None  # without our own
    try:
        tracer.has_failed("".join(traceback.format_exception(type(error), error, frames)))
    except Interrupted:
        logger.info("execution.interrupted", execution_id=str(tracer.execution_id))


def claim(organization_id: UUID, execution_id: UUID) -> Tracer | None:
    """The lease of an execution that waits for a worker; None when there is nothing to do."""
    with organization_scope(organization_id):
        execution = Execution.objects.select_for_update().filter(pk=execution_id).first()
        if execution is None or not _waits(execution):
            return None
        if reason := _may_not_run(execution):
            _end_as_error(execution, reason)
            return None
        leases.grant(execution, LEASE)
        is_first = execution.status == Status.QUEUED
        events = [NewEvent(actions.moment(execution), Kind.STATUS, Status.STARTING)]
        execution = append_to_locked(execution, events if is_first else [])
        inputs = execution.inputs if isinstance(execution.inputs, dict) else {}
        return Tracer(
            organization_id,
            execution_id,
            execution.lease_generation,
            str(execution.description.get("entry_point", "")),
            inputs.get("dict", {}),
        )


def _waits(execution: Execution) -> bool:
    """Whether it is queued, or was lost and may be tried again."""
    if execution.has_ended or execution.lease_expires_at is not None:
        return False
    return execution.status == Status.QUEUED or leases.is_revoked(execution)


def _may_not_run(execution: Execution) -> str:
    """Why an execution may not begin or go on, as a sentence; nothing while it may. What an outside
    engine runs ends with its tokens; what we run ends here."""
    if not execution.organization.is_active:
        return "The organization is not active any more."
    if execution.agent is not None and not execution.agent.is_active:
        return "The agent is not active any more."
    return ""


def _end_if_it_may_not_run(execution_id: UUID) -> bool:
    """Whether it had to end. Asked at every beat, so the row is locked only when it has to be."""
    found = Execution.objects.without_content().select_related("organization", "agent")
    execution = found.filter(pk=execution_id).first()
    reason = _may_not_run(execution) if execution else ""
    if not reason:
        return False
    execution = found.select_for_update(of=("self",)).get(pk=execution_id)
    if not execution.has_ended:
        leases.revoke(execution)
        _end_as_error(execution, reason)
    return True


def reap() -> int:
    """End, or enqueue again, what nothing was heard of; how many executions that were."""
    found = leases.lapsed_leases()
    for organization_id, execution_id in found:
        with organization_scope(organization_id):
            execution = (
                Execution.objects.select_for_update(skip_locked=True)
                .without_content()
                .filter(pk=execution_id, lease_expires_at__lt=timezone.now())
                .first()
            )
            if execution is not None:
                silence = leases.silence(execution)
                _take_from_worker(
                    execution,
                    f"The worker was lost: nothing was heard from it for {silence} s.",
                )
    return len(found)


def abandon(organization_id: str, execution_id: str) -> None:
    """End what no worker could even begin."""
    with organization_scope(UUID(organization_id)):
        locked = Execution.objects.select_for_update().without_content()
        execution = locked.filter(pk=execution_id).first()
        if execution is not None and execution.status == Status.QUEUED:
            _end_as_error(execution, "Every worker that took it was lost before it could begin.")


def give_up(reason: str) -> None:
    """End, or enqueue again, what this process runs: it has to go."""
    for tracer in heart.tracers():
        with organization_scope(tracer.organization_id):
            execution = (
                Execution.objects.select_for_update()
                .without_content()
                .filter(pk=tracer.execution_id, lease_generation=tracer.generation)
                .first()
            )
            if execution is not None and not execution.has_ended:
                _take_from_worker(execution, reason)
        tracer.lose()


def _take_from_worker(execution: Execution, reason: str) -> None:
    """Fence the worker off; then a job that may run again does, and any other ends."""
    found = JOBS.get(str(execution.description.get("entry_point", "")))
    retries = found.retries if found and execution.source == Execution.Source.WORKER else 0
    attempts = (execution.lease_generation + 1) // 2  # every loss has counted as well
    leases.revoke(execution)
    if attempts <= retries:
        told = NewEvent(actions.moment(execution), Kind.STDERR, f"{reason} It is tried again.")
        append_to_locked(execution, [told])
        _enqueue(execution)
        return
    _end_as_error(execution, reason)


def _end_as_error(execution: Execution, reason: str) -> None:
    at = actions.moment(execution)
    events = [NewEvent(at, Kind.ERROR, reason), NewEvent(at, Kind.STATUS, Status.ERROR)]
    append_to_locked(execution, events)


class Heart:
    """One thread of this process that renews the leases of all executions that run in it."""

    def __init__(self) -> None:
        self._tracers: set[Tracer] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @contextmanager
    def beating_for(self, tracer: Tracer) -> Iterator[None]:
        with self._lock:
            if not self._tracers:
                self._stop = threading.Event()
                threading.Thread(target=self._beat, args=[self._stop], daemon=True).start()
            self._tracers.add(tracer)
        try:
            yield
        finally:
            with self._lock:
                self._tracers.discard(tracer)
                if not self._tracers:
                    self._stop.set()

    def tracers(self) -> list[Tracer]:
        with self._lock:
            return list(self._tracers)

    def _beat(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(BEAT):
                for tracer in self.tracers():
                    self._renew(tracer)
        finally:
            connection.close()

    def _renew(self, tracer: Tracer) -> None:
        try:
            with organization_scope(tracer.organization_id):
                is_held = Execution.objects.filter(
                    pk=tracer.execution_id,
                    lease_generation=tracer.generation,
                    lease_expires_at__isnull=False,
                ).update(lease_expires_at=timezone.now() + timedelta(seconds=LEASE))
                is_held = is_held and not _end_if_it_may_not_run(tracer.execution_id)
        except Outage as error:
            logger.warning("database.unavailable", error=type(error).__name__)
            connection.close()
            return
        if not is_held:
            tracer.lose()


heart = Heart()
