"""The base classes of tenant tables."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.utils import timezone

from core.ids import uuid7
from organizations.models.organization import Organization


class OrganizationScopedQuerySet(models.QuerySet[Any]):
    def for_organization(self, organization: Organization) -> Self:
        return self.filter(organization=organization)


class OrganizationScopedModel(models.Model):
    """The base of every tenant model.

    Subclasses declare `objects` and get IsolateOrganizations in a migration.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # IsolateOrganizations adds a unique (organization, id), which serves as the index.
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
