"""Finds the organization that the operator names on the command line."""

from django.core.management.base import CommandError

from organizations.models import Organization

SHOWN = 20


def organization_named(wanted: str) -> Organization:
    """The organization with this id (`org-…`) or slug.

    Raise CommandError, which lists the ids, if the slug is ambiguous.
    """
    standing = Organization.objects.exclude(status=Organization.Status.DELETED)
    key = Organization.parse_public_id(wanted)
    matches = list(standing.filter(pk=key) if key else standing.filter(slug=wanted).order_by("pk"))
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(organization.public_id for organization in matches[:SHOWN])
        raise CommandError(f"{len(matches)} organizations are called {wanted}. Give the id: {ids}.")
    active = standing.filter(status=Organization.Status.ACTIVE).order_by("slug", "pk")
    slugs = ", ".join(dict.fromkeys(active.values_list("slug", flat=True)[:SHOWN]))
    raise CommandError(f"There is no organization {wanted}. There are: {slugs or 'none'}.")
