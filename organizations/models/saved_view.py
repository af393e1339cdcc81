"""Views of lists that people saved under a name, and those with which their lists open."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models.functions import Lower

from core.text import NormalizedCharField
from organizations.models.people import User
from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet

MAX_NAME = 60
MAX_QUERY = 2000


class SavedList(models.TextChoices):
    """The lists that have saved views."""

    EXECUTIONS = "executions", "Runs"
    ERRORS = "errors", "Errors"
    REQUESTS = "requests", "Requests"
    AUDIT = "audit", "Audit"


class SavedViewQuerySet(OrganizationScopedQuerySet):
    def visible_to(self, person: UUID | None) -> Self:
        """The person's own views and the shared ones."""
        return self.filter(models.Q(owner=None) | models.Q(owner=person))

    def with_starts_of(self, person: UUID | None) -> Self:
        """Annotate `is_start`, whether the person's list opens with the view."""
        starts = StartView.objects.filter(
            organization=models.OuterRef("organization"),
            user=person,
            view=models.OuterRef("pk"),
        )
        return self.annotate(is_start=models.Exists(starts))

    def by_name(self) -> Self:
        return self.order_by(Lower("name"), "pk")


class SavedView(OrganizationScopedModel):
    """The filters, the period and the order of a list. It belongs to a person or, shared, to the
    organization.
    """

    class Density(models.TextChoices):
        COMFORTABLE = "comfortable", "comfortable"
        COMPACT = "compact", "compact"

    list = models.CharField(max_length=16, choices=SavedList)
    name = NormalizedCharField(max_length=MAX_NAME)
    query = models.CharField(
        max_length=MAX_QUERY, blank=True, help_text="The query of the list's URL."
    )
    density = models.CharField(
        max_length=16,
        choices=Density,
        blank=True,
        help_text="The height of rows; empty for that which each person has chosen.",
    )
    owner = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        db_index=False,
        related_name="+",
        help_text="Who alone sees it; empty if it is shared.",
    )
    is_start: bool
    """Annotated by with_starts_of()."""

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization",
                "owner",
                "list",
                Lower("name"),
                condition=models.Q(owner__isnull=False),
                name="organizations_savedview_own_name",
            ),
            models.UniqueConstraint(
                "organization",
                "list",
                Lower("name"),
                condition=models.Q(owner=None),
                name="organizations_savedview_shared_name",
            ),
            models.CheckConstraint(
                condition=models.Q(list__in=SavedList.values),
                name="organizations_savedview_list_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(density__in=["", "comfortable", "compact"]),
                name="organizations_savedview_density_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_shared(self) -> bool:
        return self.owner_id is None


class StartView(OrganizationScopedModel):
    """The view with which a person's list opens."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False, related_name="+")
    list = models.CharField(max_length=16, choices=SavedList)
    view = models.ForeignKey(
        SavedView,
        on_delete=models.CASCADE,
        db_index=False,
        db_constraint=False,  # IsolateOrganizations makes one with the organization
        related_name="starts",
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "list"], name="organizations_startview_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(list__in=SavedList.values),
                name="organizations_startview_list_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "view"], name="organizations_startview_view")
        ]

    def __str__(self) -> str:
        return f"{self.list} of {self.user_id}"
