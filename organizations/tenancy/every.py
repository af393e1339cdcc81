"""Work that a job does in every organization."""

from collections.abc import Callable, Iterable

from core.parts import Parts
from organizations.models import Organization


def in_every_organization(
    work: Callable[[Organization], int], organizations: Iterable[Organization] | None = None
) -> int:
    """The sum of `work` of each organization, by default of all.

    The work enters the scope of its organization itself. One that fails is logged and the others
    are done nevertheless; raise PartsFailed after the last.
    """
    parts, total = Parts(), 0
    if organizations is None:
        organizations = Organization.objects.order_by("id")
    for organization in organizations:
        with parts.part(organization=str(organization.pk)):
            total += work(organization)
    parts.finish()
    return total
