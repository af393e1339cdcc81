"""Updating the fingerprints of errors stored under earlier grouping rules."""

from django.db.models import QuerySet

from executions.errors import FINGERPRINT_VERSION, ReadableError, read_error
from executions.models import ExecutionError
from executions.queries import with_texts
from organizations.models import Organization
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.scope import organization_scope

BATCH = 500


def outdated(organization: Organization) -> QuerySet[ExecutionError]:
    """Errors with an older fingerprint version, which sorts lower, so that the index finds them."""
    errors = ExecutionError.objects.for_organization(organization)
    return errors.filter(fingerprint__lt=FINGERPRINT_VERSION)


def regroup_some(organization: Organization, *, batch: int = BATCH) -> int:
    """Update up to `batch` errors in a transaction of its own; return how many there were."""
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
    """Update the errors of every organization; return how many there were."""

    def regroup(organization: Organization) -> int:
        regrouped = 0
        while done := regroup_some(organization):
            regrouped += done
        return regrouped

    return in_every_organization(regroup)
