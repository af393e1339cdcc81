"""Resolving groups of errors, and taking that back; both are written to the audit log."""

from django.db import transaction
from django.db.models import Exists, OuterRef

from core.database_clock import database_time
from core.errors import Forbidden
from executions.error_groups import MAX_GROUPS
from executions.models import (
    ErrorGroupNotFound,
    ErrorResolution,
    ExecutionError,
    ResolutionNotFound,
    sees_all,
)
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization


@transaction.atomic
def resolve_error_group(fingerprint: str, *, actor: Actor, note: str = "") -> ErrorResolution:
    """Say that the cause of a group of errors is removed. If one of them is received later, the
    group is regressed, and may be resolved again.

    Repeating it changes nothing; another note replaces the one before.
    """
    _require_operator(actor)
    organization = actor.organization
    errors = ExecutionError.objects.for_organization(organization).filter(fingerprint=fingerprint)
    if not errors.exists():
        raise ErrorGroupNotFound
    resolutions = ErrorResolution.objects.for_organization(organization)
    if resolutions.count() >= MAX_GROUPS:
        forget_resolutions(organization)
    by = {"actor_kind": actor.kind, "actor_id": actor.id, "actor_label": actor.label[:255]}
    own = ErrorResolution(
        organization=organization,
        fingerprint=fingerprint,
        resolved_at=database_time(),
        note=note,
        **by,
    )
    # Of two requests at once the second one waits here, and finds the first one's row, or none that
    # the first one deletes. A row that is there is locked by the update, which changes nothing.
    ErrorResolution.objects.bulk_create(
        [own],
        update_conflicts=True,
        unique_fields=["organization", "fingerprint"],
        update_fields=["fingerprint"],
    )
    found = resolutions.get(fingerprint=fingerprint)
    if found.pk != own.pk:
        is_back = errors.filter(created_at__gt=found.resolved_at).exists()
        if not is_back and found.note == note:
            return found
        if is_back:
            found.resolved_at = own.resolved_at
        found.note = note
        for name, value in by.items():
            setattr(found, name, value)
        found.save(update_fields=["resolved_at", "note", *by])
    record_event(AuditAction.ERROR_GROUP_RESOLVED, found, actor=actor, note=note)
    return found


@transaction.atomic
def reopen_error_group(fingerprint: str, *, actor: Actor) -> None:
    """Take a resolution back, as if there had been none."""
    _require_operator(actor)
    resolutions = ErrorResolution.objects.for_organization(actor.organization)
    found = resolutions.select_for_update().filter(fingerprint=fingerprint).first()
    if found is None:
        raise ResolutionNotFound
    record_event(AuditAction.ERROR_GROUP_REOPENED, found, actor=actor, resolvedAt=found.resolved_at)
    found.delete()


def forget_resolutions(organization: Organization) -> int:
    """Delete the resolutions of groups whose errors are all deleted; return how many."""
    alike = ExecutionError.objects.for_organization(organization).filter(
        fingerprint=OuterRef("fingerprint")
    )
    gone = ErrorResolution.objects.for_organization(organization).exclude(Exists(alike))
    return gone.delete()[0]


def _require_operator(actor: Actor) -> None:
    """A group has errors of everyone's runs, so only those decide on it who see them all."""
    if not sees_all(actor):
        raise Forbidden("Only operators can resolve groups of errors.")
