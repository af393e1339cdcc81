"""Finds the organization that the operator names on the command line."""

from django.core.management.base import CommandError
from django.db import connection

from organizations.models import Organization

SHOWN = 20


def has_tables() -> bool:
    """Whether the database has been migrated at all."""
    return Organization._meta.db_table in connection.introspection.table_names()


def organization_named(wanted: str) -> Organization:
    """The organization with this id (`org-…`) or slug.

    Raise CommandError if there is none, or if the slug is ambiguous: it lists those there are.
    """
    if not has_tables():
        raise CommandError("The database is empty: run `manage.py migrate` first, or `make demo`.")
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
