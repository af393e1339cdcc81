"""Updating the messages and fingerprints of errors stored under earlier rules, and what was said
about their groups."""

from django.db.models import QuerySet

from executions.actions import forget_resolutions
from executions.error_groups import OTHERS, limit_groups
from executions.errors import FINGERPRINT_VERSION, read_error
from executions.models import ErrorResolution, Execution, ExecutionError
from executions.queries import with_texts
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.turns import Turn

BATCH = 100
LONGEST = 1024 * 1024
"""Characters of an error that are read again."""
CARRIED = ("resolved_at", "note", "actor_kind", "actor_id", "actor_label")


def outdated(organization: Organization) -> QuerySet[ExecutionError]:
    """Errors with an older fingerprint version, which sorts lower, so that the index finds them."""
    errors = ExecutionError.objects.for_organization(organization)
    return errors.filter(fingerprint__lt=FINGERPRINT_VERSION)


def regroup_some(organization: Organization, *, batch: int = BATCH) -> int:
    """Update up to `batch` errors in a transaction of its own; return how many there were.

    Errors of an execution that is locked are left for the next time.
    """
    with organization_scope(organization):
        found = list(
            with_texts(outdated(organization), LONGEST)
            .order_by()
            .select_for_update(skip_locked=True)[:batch]
        )
        executions = {
            each.pk: each
            for each in Execution.objects.for_organization(organization)
            .filter(pk__in={error.execution_id for error in found})
            .select_for_update(skip_locked=True)
            .only("pk", "error")
        }
        found = [error for error in found if error.execution_id in executions]
        before = [error.fingerprint for error in found]
        for error in found:
            _read_again(error, executions[error.execution_id])
        limit_groups(organization.pk, found)
        _carry_resolutions(
            organization,
            {(old, error.fingerprint) for old, error in zip(before, found, strict=True)},
        )
        ExecutionError.objects.bulk_update(found, ["error_type", "message", "fingerprint"])
    return len(found)


def _read_again(error: ExecutionError, execution: Execution) -> None:
    readable = read_error(getattr(error, "text", None) or error.message)
    if execution.error == error.message != readable.message:
        execution.error = readable.message
        execution.save(update_fields=["error"])
    error.error_type, error.message = readable.error_type, readable.message
    error.fingerprint = readable.fingerprint()


def _carry_resolutions(organization: Organization, moves: set[tuple[str, str]]) -> None:
    """Resolve the groups that errors of resolved groups move to.

    Of groups that become one, the latest resolution counts: errors received after it make the group
    regressed, whichever group they were in. The group of the others (error_groups.py) gets none,
    because it has errors of any cause.
    """
    resolutions = ErrorResolution.objects.for_organization(organization)
    resolved = {
        each.fingerprint: each
        for each in resolutions.filter(fingerprint__in=[old for old, _ in moves])
    }
    latest: dict[str, ErrorResolution] = {}
    for old, new in moves:
        found, other = resolved.get(old), latest.get(new)
        if found and new != OTHERS and (not other or other.resolved_at < found.resolved_at):
            latest[new] = found
    for new, found in latest.items():
        values = {name: getattr(found, name) for name in CARRIED}
        _, is_new = resolutions.get_or_create(
            organization=organization, fingerprint=new, defaults=values
        )
        if not is_new:
            earlier = resolutions.filter(fingerprint=new, resolved_at__lt=found.resolved_at)
            earlier.update(**values)


def regroup(organization: Organization, turn: Turn | None = None) -> int:
    """Update the organization's errors; return how many there were."""
    turn, regrouped = turn or Turn(), 0
    while turn.take() and (done := regroup_some(organization)):
        regrouped += done
    if not turn.has_more:
        with organization_scope(organization):
            forget_resolutions(organization)
    return regrouped
