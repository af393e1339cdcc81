"""The append-only, hash-chained audit log of an organization.

The hash of an event is SHA-256 over the previous hash and the event's canonical JSON, so that
verification finds the place of any change, removal, insertion or swap.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, models
from django.db.models import Q
from django.utils import timezone

from core.addresses import plain_address
from core.ids import uuid7
from core.long_responses import ROWS_PER_FETCH, Piece, gather, in_pieces
from core.throttling import Quota, count_attempt, throttle_key
from organizations.actors import Actor
from organizations.audit.actions import OF_ONESELF, AuditAction
from organizations.audit.recorded_changes import count_change, shortened
from organizations.models import AuditChain, AuditEvent, Organization
from organizations.rights import require_rights
from organizations.tenancy.scope import organization_scope

FIRST_HASH = bytes(32)
EXPORT_BATCH = 1000
MAX_VERIFIED = 100_000
VERIFICATIONS = Quota(limit=30, window=timedelta(minutes=1))
EXPORTS = Quota(limit=60, window=timedelta(hours=1))
"""Per caller. Each export is recorded in the log."""


def record_event(
    action: AuditAction,
    target: models.Model | None = None,
    *,
    actor: Actor,
    outcome: str = AuditEvent.Outcome.SUCCESS,
    **metadata: Any,
) -> AuditEvent:
    """Append an event in the current transaction, which commits or rolls back the change.

    Raise Forbidden if the actor has lost its rights since the request began, and TooManyRequests
    after very many changes (recorded_changes.py). Record before a change of the rows that give the
    actor its rights (organizations/rights.py).
    """
    organization = actor.organization
    sequence, previous_hash = lock_head(organization)
    if outcome == AuditEvent.Outcome.SUCCESS and action not in OF_ONESELF:
        require_rights(actor)
        count_change(action, actor)
    agent_id = metadata.pop("agent_id", None) or _agent_id(target, actor)
    event = AuditEvent(
        id=uuid7(),
        organization=organization,
        sequence=sequence + 1,
        occurred_at=timezone.now(),
        action=AuditAction(action).value,
        outcome=str(outcome),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=_printable(actor.label),
        agent_id=agent_id,
        target_type=str(target._meta.model_name) if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_label=_printable(str(target)) if target is not None else "",
        ip_address=actor.ip_address,
        user_agent=_printable(actor.user_agent),
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        # PostgreSQL formats some floats differently, which would break the hash, so they are stored
        # as text.
        metadata=shortened(json.loads(json.dumps(metadata, default=str), parse_float=str)),
        previous_hash=previous_hash,
    )
    event.hash = event_hash(event)
    # A trigger moves the head, or rejects an event that does not follow it.
    event.save(force_insert=True)
    return event


def record_failed_proof(actor: Actor, *, reason: str, left_out: int) -> AuditEvent:
    """Record a failed authentication as `actor`. Call it in the scope of the actor's organization.

    `left_out` is the number of earlier failures that throttling.note_failure() left unrecorded.
    """
    metadata: dict[str, Any] = {"reason": reason}
    if left_out:
        metadata["notRecorded"] = left_out
    outcome = AuditEvent.Outcome.FAILURE
    return record_event(AuditAction.AUTH_FAILED, actor=actor, outcome=outcome, **metadata)


def record_export(actor: Actor) -> None:
    """Record an export. Raise TooManyRequests after very many."""
    count_attempt(throttle_key("audit.export", actor.id), EXPORTS)
    record_event(AuditAction.AUDIT_EXPORTED, actor=actor)


def lock_head(organization: Organization) -> tuple[int, bytes]:
    """The sequence number and hash of the last event.

    The head stays locked until the transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM organizations_lock_audit_head(%s)", [organization.pk])
        sequence, last_hash = cursor.fetchone()
    return sequence, bytes(last_hash)


def event_hash(event: AuditEvent) -> bytes:
    """SHA-256 over the previous hash and the event's canonical JSON."""
    return hashlib.sha256(bytes(event.previous_hash) + canonical_json(event)).digest()


def canonical_json(event: AuditEvent) -> bytes:
    """The event as JSON with sorted names and no whitespace, over which the hash is computed."""
    return _compact(_facts(event)).encode()


def export_line(event: AuditEvent) -> str:
    """One line of an export: the hashed fields, and both hashes in hexadecimal."""
    hashes = {"previousHash": bytes(event.previous_hash).hex(), "hash": bytes(event.hash).hex()}
    return _compact(_facts(event) | hashes) + "\n"


def export_lines(organization: Organization, first: int, last: int) -> Iterator[str]:
    """The lines of an export.

    They are sent after the request's transaction, so each piece enters the organization's scope
    again.
    """

    def read(reached: int | None) -> Piece[int]:
        beyond = first - 1 if reached is None else reached
        with organization_scope(organization):
            events = AuditEvent.objects.for_organization(organization).in_order()
            following = events.filter(sequence__gt=beyond, sequence__lte=last)[:EXPORT_BATCH]
            rows = following.iterator(ROWS_PER_FETCH)
            return gather(rows, export_line, lambda event: event.sequence)

    return in_pieces(read)


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _facts(event: AuditEvent) -> dict[str, Any]:
    return {
        "eventId": str(event.id),
        "organizationId": str(event.organization_id),
        "sequence": event.sequence,
        "timestamp": event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": event.action,
        "outcome": event.outcome,
        "actorKind": event.actor_kind,
        "actorId": _text(event.actor_id),
        "actorLabel": event.actor_label,
        "agentId": _text(event.agent_id),
        "targetType": event.target_type,
        "targetId": event.target_id,
        "targetLabel": event.target_label,
        "ipAddress": plain_address(event.ip_address) if event.ip_address else None,
        "userAgent": event.user_agent,
        "requestId": event.request_id,
        "metadata": event.metadata,
    }


@dataclass(frozen=True)
class Verification:
    """The result of a verification; `broken_at` is the first event that does not fit."""

    is_intact: bool
    first: int
    last: int
    checked: int
    broken_at: int | None
    reason: str
    head_sequence: int
    head_hash: str
    checked_at: datetime


def verify_chain(
    organization: Organization, *, first: int = 1, last: int | None = None
) -> Verification:
    """Recompute the chain from `first` to `last`, and compare its end with the recorded head."""
    events = AuditEvent.objects.for_organization(organization).in_order()
    # Read before the head, which follows what is recorded in between.
    newest = events.reverse().values_list("sequence", flat=True).first() or 0
    head = AuditChain.objects.filter(organization=organization).first()
    head_sequence = head.sequence if head else 0
    head_hash = bytes(head.hash) if head else FIRST_HASH
    last = head_sequence if last is None else last
    previous = events.filter(sequence=first - 1).first() if first > 1 else None
    expected_hash = bytes(previous.hash) if previous else (None if first > 1 else FIRST_HASH)
    result = first_break(
        events.filter(sequence__gte=first, sequence__lte=last).iterator(chunk_size=1000),
        first,
        expected_hash,
    )
    broken_at, reason, reached, reached_hash = result
    if first > 1 and previous is None:
        broken_at, reason = first - 1, "An event is missing."
    if broken_at is None and reached < min(last, head_sequence):
        broken_at, reason = reached + 1, "An event is missing."
    if broken_at is None and last >= head_sequence > 0 and reached_hash != head_hash:
        broken_at, reason = head_sequence, "The end of the log differs from its recorded head."
    beyond = Q(sequence__gt=head_sequence, sequence__lte=newest)
    outside = events.filter(beyond | Q(sequence__lt=1)).first()
    if broken_at is None and outside is not None:
        broken_at, reason = outside.sequence, "The event lies beyond the recorded head."
    return Verification(
        is_intact=broken_at is None,
        first=first,
        last=last,
        checked=max(0, reached - first + 1),
        broken_at=broken_at,
        reason=reason,
        head_sequence=head_sequence,
        head_hash=head_hash.hex(),
        checked_at=timezone.now(),
    )


def first_break(
    events: Iterable[AuditEvent], first: int, expected_hash: bytes | None
) -> tuple[int | None, str, int, bytes | None]:
    """Check the chain of `events`, which should begin with `first`.

    Returns the first broken sequence number, the reason, the last valid sequence number and its
    hash.
    """
    reached = first - 1
    for event in events:
        if event.sequence != reached + 1:
            return reached + 1, "An event is missing.", reached, expected_hash
        if expected_hash is not None and bytes(event.previous_hash) != expected_hash:
            return event.sequence, "The event does not follow the one before.", reached, None
        if event_hash(event) != bytes(event.hash):
            return event.sequence, "The event was changed.", reached, None
        reached, expected_hash = event.sequence, bytes(event.hash)
    return None, "", reached, expected_hash


def _agent_id(target: models.Model | None, actor: Actor) -> UUID | None:
    if target is not None and target._meta.model_name == "agent":
        return UUID(str(target.pk))
    if target is not None and getattr(target, "agent_id", None):
        return UUID(str(target.agent_id))  # type: ignore[attr-defined]
    return actor.id if actor.kind == "agent" else None


def _printable(text: str) -> str:
    """At most 255 characters, without control characters that could forge a line."""
    return "".join(c if c.isprintable() else " " for c in text)[:255]


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None
