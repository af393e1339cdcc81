"""What engines report: the start of a run, its events and its end.

Reporting is traffic, as a token request is, and is not audited: the execution and its numbered
events are the record (docs/decisions/0005).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from agents.models import Agent
from core.constraints import broken_constraint
from core.errors import DomainError, Forbidden, InvalidValue
from executions import leases, repeats
from executions.actions.access import locked, locked_for_report, moment, require_reporter
from executions.actions.batches import ReportedEvent, new_events
from executions.event_log import NewEvent, append_to_locked
from executions.json_text import tagged
from executions.models import (
    RESERVED_IDS,
    DeletedExecution,
    Execution,
    ExecutionEvent,
    ExecutionHasEnded,
    ExecutionUser,
    new_execution,
    now,
)
from executions.quotas import ENDING_BYTES, Amounts, require_room, require_turn, size_of
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.rights import rights_last

Kind, Status = ExecutionEvent.Kind, Execution.Status


class ExecutionExists(DomainError):
    code = "EXECUTION_EXISTS"
    message = "The organization already has an execution with this id."


class ExecutionWasDeleted(DomainError):
    code = "EXECUTION_DELETED"
    message = "An execution with this id was deleted; the id is not used again."


@dataclass(frozen=True)
class Appended:
    """The execution after an append, with the numbers of new and of duplicate events."""

    execution: Execution
    accepted: int
    duplicates: int


@rights_last
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
    """Report a run of the acting agent. Return the execution and whether it is new.

    With a `fid` the call may be repeated, whatever has happened to the execution since.
    `description` becomes its first meta event: `summary`, `description`, `tags` and so on.
    `user_id` names the member for whom the agent acts. With `lease_seconds` the execution ends as
    an error after that long without a sign of life.
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
        raise InvalidValue.of("executionId", problem)
    _require_unused(organization, fid)
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
        # Created in the meantime, and perhaps deleted since.
        found = Execution.objects.filter(organization=organization, fid=fid).first()
        if found is None:
            raise ExecutionWasDeleted from None
        _require_same(found, actor, sent)
        return found, False
    # Again, because waiting for room takes as long as a run that is created, ended and deleted.
    # After the insertion nobody else can create one with this id, so nobody can delete one either.
    _require_unused(organization, fid)
    return append_to_locked(execution, events), True


@rights_last
def append(
    execution: Execution,
    events: Sequence[ReportedEvent],
    *,
    actor: Actor,
    lease: int | None = None,
) -> Appended:
    """Append all of the events or none; events already stored count as duplicates.

    `lease` is the generation that the caller holds, for an execution with a lease.
    """
    execution = locked_for_report(execution, actor, lease)
    new = new_events(execution, events)
    if new:
        require_room(actor.organization, Amounts(event_bytes=size_of(new)))
        execution = append_to_locked(execution, new)
    return Appended(execution, accepted=len(new), duplicates=len(events) - len(new))


@rights_last
def finish(
    execution: Execution,
    *,
    actor: Actor,
    status: str,
    final: str | None = None,
    error: str = "",
    lease: int | None = None,
) -> Execution:
    """End the execution as finished, error or cancelled; repeating the same end changes nothing.

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


@rights_last
def heartbeat(
    execution: Execution,
    *,
    actor: Actor,
    lease: int | None = None,
    seconds: int | None = None,
    take_over: bool = False,
) -> Execution:
    """Renew the lease, or take it over when nobody holds it or with `take_over`.

    The holder sends the returned execution's `lease_generation` with every later report.
    """
    execution = locked(execution)
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


@rights_last
def update_figures(
    execution: Execution,
    *,
    actor: Actor,
    lease: int | None = None,
    summary: str | None = None,
    **figures: int | Decimal | None,
) -> Execution:
    """Set figures that become known late: input and output tokens, `cost` in US dollars, summary.

    Allowed after the end as well, unless the execution was cancelled.
    """
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


def _require_unused(organization: Organization, fid: str) -> None:
    """Raise ExecutionWasDeleted if the id was one of a deleted execution."""
    if fid and DeletedExecution.objects.filter(organization=organization, fid=fid).exists():
        raise ExecutionWasDeleted


def _require_same(execution: Execution, actor: Actor, sent: Mapping[str, Any]) -> None:
    """Refuse a repeated report whose content differs from the first."""
    if execution.agent_id != actor.id:
        raise ExecutionExists
    if changed := repeats.changed_fields(execution, "create", sent):
        names = ", ".join(changed)
        raise ExecutionExists(
            f"The execution was created with different content: {names}.", **changed
        )


def _require_same_end(execution: Execution, status: str, sent: Mapping[str, Any]) -> None:
    """Refuse a repeated end whose content differs from the first.

    Where it ended in another way than by `finish`, the repetition may name only the status.
    """
    if execution.status != status:
        raise ExecutionHasEnded(status=execution.status)
    changed = repeats.changed_fields(execution, "finish", sent)
    if changed is None:
        changed = {name: ["It had already ended."] for name in repeats.digests(sent)}
    if changed:
        message = f"The execution has ended with different content: {', '.join(changed)}."
        raise ExecutionHasEnded(message, status=status, **changed)


def _execution_user(organization: Organization, user_id: UUID) -> ExecutionUser:
    """The ExecutionUser of the organization's member with this id."""
    membership = (
        Membership.objects.for_organization(organization)
        .select_related("user")
        .filter(user_id=user_id)
        .first()
    )
    if membership is None:
        raise InvalidValue.of("userId", "The organization has no member with this id.")
    user = membership.user
    return ExecutionUser.objects.get_or_create(
        organization=organization,
        external_id=user.pk,
        defaults={"name": str(user), "email": user.email, "user": user},
    )[0]
