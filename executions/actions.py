"""What agents and people do with executions.

Reporting a run is traffic, as a token request is: the execution and its numbered events are the
record of it (docs/decisions/0005). Stopping and deleting are changes, and stand in the audit log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from agents.models import Agent
from core.constraints import broken_constraint
from core.errors import DomainError, Forbidden, InvalidValue
from executions import leases, repeats
from executions.event_log import NewEvent, append_to_locked, tagged
from executions.file_storage import remove_folder
from executions.models import (
    RESERVED_IDS,
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionHasEnded,
    ExecutionNotFound,
    ExecutionUser,
    Upload,
    UploadPart,
    new_execution,
    now,
)
from executions.quotas import ENDING_BYTES, Amounts, require_room, require_turn, size_of
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent, Membership, Organization

Kind, Status = ExecutionEvent.Kind, Execution.Status


class ExecutionExists(DomainError):
    code = "EXECUTION_EXISTS"
    message = "The organization already has an execution with this id."


class ExecutionWasDeleted(DomainError):
    code = "EXECUTION_DELETED"
    message = "An execution with this id was deleted; the id is not used again."


class ExecutionIsLive(DomainError):
    code = "EXECUTION_LIVE"
    message = "The execution has not ended. Stop it first."


class ExecutionIsImported(DomainError):
    code = "EXECUTION_IMPORTED"
    message = (
        "This execution was imported: it runs elsewhere, and has to be stopped there. "
        "Here its record can be deleted."
    )


class SequenceGap(DomainError):
    """`details` name the event, and the next sequence number that the execution expects: none of
    the batch was kept."""

    code = "SEQUENCE_GAP"
    message = "Events are missing before this one."


class SequenceConflict(DomainError):
    code = "SEQUENCE_CONFLICT"
    message = "The execution already has a different event with this sequence number."


IN_BATCH = "The batch has two different events with this sequence number. None of it was kept."


@dataclass(frozen=True)
class ReportedEvent:
    """An event as an engine reports it.

    `message` is text, as it will be stored. Without a `timestamp` (Unix seconds) it happened now;
    without a `sequence` it comes next.
    """

    kind: str
    message: str
    timestamp: float | None = None
    sequence: int | None = None


@dataclass(frozen=True)
class Appended:
    """How many events were new, how many were there already, and the execution afterwards."""

    execution: Execution
    accepted: int
    duplicates: int


@transaction.atomic
def report_execution(
    *,
    actor: Actor,
    fid: str = "",
    status: str = Status.RUNNING,
    description: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
    started_at: float | None = None,
    user_id: UUID | None = None,
    lease_seconds: int | None = None,
) -> tuple[Execution, bool]:
    """The execution that the acting agent runs, and whether it is new.

    With a `fid` the call may be repeated, whatever became of the execution meanwhile.
    `description` is what its first meta event says:
    `summary`, `description`, `tags` … `user_id` names the member for whom the agent acts. With
    `lease_seconds` it ends as an error when nothing is heard of it for so long.
    """
    if actor.kind != "agent" or actor.id is None:
        raise Forbidden("Only an agent can report executions; use the agent's own token.")
    organization = actor.organization
    user = _execution_user(organization, user_id) if user_id else None
    sent = {
        **(description or {}),
        "status": status,
        "inputs": inputs,
        "startedAt": started_at,
        "userId": user_id,
        "leaseSeconds": lease_seconds,
    }
    found = Execution.objects.filter(organization=organization, fid=fid).first() if fid else None
    if found is not None:
        _require_same(found, actor, sent)
        return found, False
    if fid in RESERVED_IDS:
        problem = f"{fid} is reserved. Choose another id."
        raise InvalidValue(f"executionId: {problem}", executionId=[problem])
    if fid and DeletedExecution.objects.filter(organization=organization, fid=fid).exists():
        raise ExecutionWasDeleted
    at = now() if started_at is None else started_at
    events = [NewEvent(at, Kind.STATUS, status)] if status != Status.QUEUED else []
    if inputs is not None:
        events.append(NewEvent(at, Kind.INPUTS, tagged(inputs)))
    if description:
        events.append(NewEvent(at, Kind.META, tagged(description)))
    require_room(organization, Amounts(executions=1, event_bytes=size_of(events)))
    require_turn(organization)
    execution = new_execution(
        organization,
        agent_id=actor.id,
        credential_id=actor.credential_id,
        agent_name=Agent.objects.get(pk=actor.id).name,
        user=user,
        start_time=at,
        **({"fid": fid} if fid else {}),
    )
    repeats.remember(execution, "create", sent)
    if lease_seconds:
        leases.grant(execution, lease_seconds)
    try:
        with transaction.atomic():
            execution.save(force_insert=True)
    except IntegrityError as error:
        if broken_constraint(error) != "executions_fid_unique":
            raise
        found = Execution.objects.get(organization=organization, fid=fid)  # made meanwhile
        _require_same(found, actor, sent)
        return found, False
    return append_to_locked(execution, events), True


@transaction.atomic
def append(
    execution: Execution,
    events: Sequence[ReportedEvent],
    *,
    actor: Actor,
    lease: int | None = None,
) -> Appended:
    """Append all of the events or none; those that stand there already count as duplicates.

    `lease` is the generation that the caller holds, of an execution with a lease.
    """
    execution = locked_for_report(execution, actor, lease)
    new = _new_events(execution, events)
    if new:
        require_room(actor.organization, Amounts(event_bytes=size_of(new)))
        execution = append_to_locked(execution, new)
    return Appended(execution, accepted=len(new), duplicates=len(events) - len(new))


@transaction.atomic
def finish(
    execution: Execution,
    *,
    actor: Actor,
    status: str,
    final: str | None = None,
    error: str = "",
    lease: int | None = None,
) -> Execution:
    """End it as finished, error or cancelled; saying the same again changes nothing.

    `final` is JSON text with a type tag.
    """
    execution = locked_for_report(execution, actor, lease)
    sent = {"final": final, "error": error}
    if execution.has_ended:
        _require_same_end(execution, status, sent)
        return execution
    repeats.remember(execution, "finish", sent)
    at = moment(execution)
    events = [NewEvent(at, Kind.ERROR, error)] if error else []
    if final is not None:
        events.append(NewEvent(at, Kind.FINAL, final))
    events.append(NewEvent(at, Kind.STATUS, status))
    if size_of(events) > ENDING_BYTES:
        require_room(actor.organization, Amounts(event_bytes=size_of(events)))
    return append_to_locked(execution, events)


@transaction.atomic
def heartbeat(
    execution: Execution,
    *,
    actor: Actor,
    lease: int | None = None,
    seconds: int | None = None,
    take_over: bool = False,
) -> Execution:
    """A sign of life of the lease's holder; or a new holder, when there is none or with
    `take_over`. The answer's `lease_generation` is what the holder shows from then on."""
    execution = _locked(execution)
    require_reporter(execution, actor)
    if execution.has_ended:
        raise ExecutionHasEnded(status=execution.status)
    if take_over or not execution.lease_generation:
        leases.grant(execution, seconds or execution.lease_seconds or leases.DEFAULT_SECONDS)
    else:
        leases.require_lease(execution, lease)
        leases.renew(execution, seconds)
    execution.save(update_fields=["lease_generation", "lease_seconds", "lease_expires_at"])
    return execution


@transaction.atomic
def update_figures(
    execution: Execution,
    *,
    actor: Actor,
    lease: int | None = None,
    summary: str | None = None,
    **figures: int | Decimal | None,
) -> Execution:
    """Set what is known late: `input_tokens`, `output_tokens`, `cost` in US dollars, and the
    summary. Even after the end, unless that is that it was cancelled."""
    execution = locked_for_report(execution, actor, lease)
    if execution.status == Status.CANCELLED:
        raise ExecutionHasEnded(
            "The execution was cancelled; it accepts nothing more.", status=Status.CANCELLED
        )
    for name, value in figures.items():
        setattr(execution, name, value)
    fields = [*figures]
    if summary is not None:
        execution.meta = {"dict": execution.description | {"summary": summary}}
        fields.append("meta")
    if fields:
        execution.save(update_fields=fields)
    return execution


@transaction.atomic
def stop_execution(execution: Execution, *, actor: Actor) -> Execution:
    """Cancel a live execution: whoever runs it cannot write any more. It stays on record.

    What runs elsewhere and is imported cannot be stopped from here.
    """
    execution = _locked(execution)
    _require_control(execution, actor)
    if execution.is_imported and not execution.has_ended:
        raise ExecutionIsImported(status=execution.status)
    if execution.has_ended:
        if execution.status == Status.CANCELLED:
            return execution
        raise ExecutionHasEnded(
            f"The execution is {execution.status} already.", status=execution.status
        )
    execution = append_to_locked(
        execution, [NewEvent(moment(execution), Kind.STATUS, Status.CANCELLED)]
    )
    AuditEvent.record(AuditAction.EXECUTION_STOPPED, execution, actor=actor)
    return execution


@transaction.atomic
def delete_execution(execution: Execution, *, actor: Actor, stop: bool = False) -> None:
    """Remove an execution with its events and files; only the fact that it was deleted stays.

    A live one is refused, unless `stop` ends it first. Of one that was imported only the record is
    here: it is removed, whatever goes on elsewhere.
    """
    execution = _locked(execution)
    _require_control(execution, actor)
    if not execution.has_ended and not execution.is_imported:
        if not stop:
            raise ExecutionIsLive(status=execution.status)
        execution = stop_execution(execution, actor=actor)
    AuditEvent.record(AuditAction.EXECUTION_DELETED, execution, actor=actor)
    remove_execution(execution)


def remove_execution(execution: Execution) -> None:
    """Delete its rows, leave a tombstone, and delete its files once that is committed."""
    of_it: dict[str, Any] = {"organization_id": execution.organization_id, "execution": execution}
    DeletedExecution.objects.create(
        id=execution.pk,
        organization_id=execution.organization_id,
        fid=execution.fid,
        agent_id=execution.agent_id,
        user_id=execution.user_id,
    )
    UploadPart.objects.filter(
        organization_id=execution.organization_id,
        upload__in=Upload.objects.filter(**of_it),
    ).delete()
    for model in (Upload, ExecutionError, ExecutionEvent, ExecutionFile):
        model._default_manager.filter(**of_it).delete()
    organization_id, key = execution.organization_id, execution.pk
    execution.delete()
    transaction.on_commit(lambda: remove_folder(organization_id, key), robust=True)


def moment(execution: Execution) -> float:
    """Now, but not before its newest event: the clock of an engine may be ahead of ours, and lists
    of events go by their times."""
    return max(now(), execution.end_time or 0)


def locked_for_report(execution: Execution, actor: Actor, lease: int | None) -> Execution:
    """The locked execution, for its agent, which shows the lease that a live one may have."""
    execution = _locked(execution)
    require_reporter(execution, actor)
    if not execution.has_ended:
        leases.require_lease(execution, lease)
        leases.renew_if_due(execution)
    return execution


def require_reporter(execution: Execution, actor: Actor) -> None:
    """Forbidden for everyone but the agent that runs the execution, and the system."""
    is_own_agent = actor.kind == "agent" and actor.id == execution.agent_id
    if not is_own_agent and actor.kind != "system":
        raise Forbidden("Only the agent that runs an execution can report on it.")


def _require_control(execution: Execution, actor: Actor) -> None:
    """Own executions with executions:write; operators and the system everyone's."""
    is_visible = Execution.objects.filter(pk=execution.pk).visible_to(actor).exists()
    if not (is_visible and (actor.kind == "staff" or actor.may(Scope.EXECUTIONS_WRITE))):
        raise Forbidden("You can stop and delete only your own executions.")


def _require_same(execution: Execution, actor: Actor, sent: Mapping[str, Any]) -> None:
    """A repeated report must say what the first one said."""
    if execution.agent_id != actor.id:
        raise ExecutionExists
    if changed := repeats.changed_fields(execution, "create", sent):
        names = ", ".join(changed)
        raise ExecutionExists(f"The execution was created with something else: {names}.", **changed)


def _require_same_end(execution: Execution, status: str, sent: Mapping[str, Any]) -> None:
    """A repeated end must say what the first one said; one that came otherwise, no more than it."""
    if execution.status != status:
        raise ExecutionHasEnded(status=execution.status)
    changed = repeats.changed_fields(execution, "finish", sent)
    if changed is None:
        changed = {name: ["It had already ended."] for name in repeats.digests(sent)}
    if changed:
        message = f"The execution has ended with something else: {', '.join(changed)}."
        raise ExecutionHasEnded(message, status=status, **changed)


def _new_events(execution: Execution, events: Sequence[ReportedEvent]) -> list[NewEvent]:
    """Those that the execution does not have yet, in their order."""
    known = _recorded(execution, (event.sequence for event in events))
    kept = execution.last_sequence
    upcoming = kept + 1
    new = []
    for event in events:
        sequence = upcoming if event.sequence is None else event.sequence
        if sequence > upcoming:
            raise SequenceGap(
                f"Events are missing before the sequence number {sequence}. None of the batch was "
                f"kept: go on with {kept + 1}.",
                sequence=sequence,
                nextSequence=kept + 1,
            )
        if sequence < upcoming:
            if not _is_repeated(event, known[sequence]):
                raise SequenceConflict(IN_BATCH if sequence > kept else None, sequence=sequence)
            continue
        made = NewEvent(
            moment(execution) if event.timestamp is None else event.timestamp,
            event.kind,
            event.message,
        )
        known[sequence] = made
        new.append(made)
        upcoming += 1
    return new


def _recorded(execution: Execution, sequences: Iterable[int | None]) -> dict[int, NewEvent]:
    """The execution's events with these sequence numbers."""
    last = execution.last_sequence
    wanted = [sequence for sequence in sequences if sequence is not None and sequence <= last]
    if not wanted:
        return {}
    rows = ExecutionEvent.objects.filter(
        organization_id=execution.organization_id,
        execution_id=execution.pk,
        sequence__in=wanted,
    )
    return {row.sequence: NewEvent(row.timestamp, row.kind, row.message) for row in rows}


def _is_repeated(event: ReportedEvent, known: NewEvent) -> bool:
    is_same_time = event.timestamp is None or event.timestamp == known.timestamp
    return is_same_time and (event.kind, event.message) == (known.kind, known.message)


def _execution_user(organization: Organization, user_id: UUID) -> ExecutionUser:
    """The member as executions know them."""
    membership = (
        Membership.objects.for_organization(organization)
        .select_related("user")
        .filter(user_id=user_id)
        .first()
    )
    if membership is None:
        problem = "The organization has no member with this id."
        raise InvalidValue(f"userId: {problem}", userId=[problem])
    user = membership.user
    return ExecutionUser.objects.get_or_create(
        organization=organization,
        external_id=user.pk,
        defaults={"name": str(user), "email": user.email, "user": user},
    )[0]


def _locked(execution: Execution) -> Execution:
    """As it is now, its content left out; ExecutionNotFound when another request has deleted it
    meanwhile."""
    found = (
        Execution.objects.select_for_update()
        .without_content()
        .filter(organization_id=execution.organization_id, pk=execution.pk)
        .first()
    )
    if found is None:
        raise ExecutionNotFound
    return found
