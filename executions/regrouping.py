"""Errors that were stored under earlier rules of grouping get today's fingerprint."""

from django.db.models import QuerySet

from executions.errors import FINGERPRINT_VERSION, ReadableError, read_error
from executions.models import ExecutionError
from executions.queries import with_texts
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

BATCH = 500


def outdated(organization: Organization) -> QuerySet[ExecutionError]:
    """An earlier version is the smaller text, so that the index finds its rows."""
    errors = ExecutionError.objects.for_organization(organization)
    return errors.filter(fingerprint__lt=FINGERPRINT_VERSION)


def regroup_some(organization: Organization, *, batch: int = BATCH) -> int:
    """Bring up to `batch` errors up to date, in a transaction of its own; how many there were."""
    with organization_scope(organization):
        found = list(
            with_texts(outdated(organization))
            .order_by()
            .select_for_update(skip_locked=True)[:batch]
        )
        for error in found:
            place = read_error(getattr(error, "text", None) or "").place
            readable = ReadableError(error.error_type, error.message, place)
            error.fingerprint = readable.fingerprint()
        ExecutionError.objects.bulk_update(found, ["fingerprint"])
    return len(found)


def regroup_all() -> int:
    """Group the errors of every organization anew; returns how many there were."""
    regrouped = 0
    for organization in Organization.objects.order_by("id"):
        while done := regroup_some(organization):
            regrouped += done
    return regrouped
