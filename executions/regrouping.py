"""Updating the messages and fingerprints of errors stored under earlier rules."""

from django.db.models import QuerySet

from executions.errors import FINGERPRINT_VERSION, read_error
from executions.models import Execution, ExecutionError
from executions.queries import with_texts
from organizations.models import Organization
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.scope import organization_scope

BATCH = 100
LONGEST = 1024 * 1024
"""Characters of an error that are read again."""


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
        for error in found:
            _read_again(error, executions[error.execution_id])
        ExecutionError.objects.bulk_update(found, ["error_type", "message", "fingerprint"])
    return len(found)


def _read_again(error: ExecutionError, execution: Execution) -> None:
    readable = read_error(getattr(error, "text", None) or error.message)
    if execution.error == error.message != readable.message:
        execution.error = readable.message
        execution.save(update_fields=["error"])
    error.error_type, error.message = readable.error_type, readable.message
    error.fingerprint = readable.fingerprint()


def regroup_all() -> int:
    """Update the errors of every organization; return how many there were."""

    def regroup(organization: Organization) -> int:
        regrouped = 0
        while done := regroup_some(organization):
            regrouped += done
        return regrouped

    return in_every_organization(regroup)
