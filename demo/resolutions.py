"""Two groups of errors that somebody has resolved, of which one was received again."""

from datetime import datetime, timedelta

from django.db.models import Count, Max

from executions.models import ErrorResolution, ExecutionError
from organizations.models import Membership, Organization

AGAIN = "The gateway has a larger quota now"
DONE = "Fixed in the last release"
HOUR = timedelta(hours=1)


def resolve_some(organization: Organization, now: datetime) -> None:
    """Resolve two groups, unless somebody has resolved any."""
    resolutions = ErrorResolution.objects.for_organization(organization)
    groups = list(
        ExecutionError.objects.for_organization(organization)
        .values("fingerprint")
        .annotate(number=Count("id"), last=Max("created_at"))
        .order_by("-number", "fingerprint")
    )
    quiet = [each for each in groups[1:] if each["last"] < now - 24 * HOUR]
    if resolutions.exists() or not quiet:
        return
    person = Membership.objects.for_organization(organization).order_by("created_at", "id")[0].user
    own = {
        "organization": organization,
        "actor_kind": "person",
        "actor_id": person.pk,
        "actor_label": person.email,
    }
    ErrorResolution.objects.bulk_create(
        ErrorResolution(
            **own,
            fingerprint=group["fingerprint"],
            resolved_at=group["last"] + after,
            created_at=group["last"] + after,
            note=note,
        )
        for group, after, note in ((groups[0], -HOUR, AGAIN), (quiet[0], 2 * HOUR, DONE))
    )
