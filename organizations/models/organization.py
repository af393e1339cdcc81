"""Organizations and their members.

They are read before the tenant is known, so they are not isolated.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Self
from uuid import UUID

from django.core.validators import (
    MaxValueValidator,
    MinLengthValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models
from django.utils import timezone

from core.ids import uuid7
from core.rules import RowOf, Rule
from core.text import NormalizedCharField
from organizations.models.people import User

MAX_RETENTION_DAYS = 3650
ORGANIZATION_ID_PREFIX = "org-"
UNIDENTIFIED_ORGANIZATION_ID = UUID(int=0)
"""Records token requests with an unknown client id, so that they take as long as others."""


def may_act(person: str, organization: str) -> Rule:
    """Whether a person may act in an organization.

    Both arguments name a column of the respective row.
    """
    return Rule("organizations_person_may_act", RowOf(person), RowOf(organization))


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def for_organization(self, organization: Organization) -> Self:
        """The organization itself, as the queryset of what its members may see."""
        return self.filter(pk=organization.pk)

    def of_person(self, user: User) -> Self:
        """The organizations in which the person may act, in the order of joining."""
        own = self.filter(may_act("memberships__user__is_active", "status"), memberships__user=user)
        joined_at = models.F("memberships__created_at")
        return own.annotate(joined_at=joined_at).order_by("joined_at", "id")


class MembershipQuerySet(models.QuerySet["Membership"]):
    def for_organization(self, organization: Organization) -> Self:
        return self.filter(organization=organization)

    def taking_tokens_of(self, issued: datetime, generation: int | None) -> Self:
        """The memberships in organizations that still accept tokens of this generation, or of this
        time if they name none."""
        moment = models.Value(issued, output_field=models.DateTimeField())
        named = models.Value(generation, output_field=models.IntegerField())
        return self.filter(
            Rule("organizations_token_is_current", moment, RowOf("organization__status"), named)
        )

    def usable(self) -> Self:
        """Memberships of active people in active organizations, in the order of joining."""
        return (
            self.filter(may_act("user__is_active", "organization__status"))
            .select_related("organization", "user")
            .order_by("created_at", "id")
        )


class Organization(models.Model):
    """A tenant. Tokens and responses write its id as `org-` and the UUID."""

    class Plan(models.TextChoices):
        FREE = "free", "Free"
        PRO = "pro", "Pro"
        ENTERPRISE = "enterprise", "Enterprise"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        DELETED = "deleted", "Deleted"
        SYSTEM = "system", "System"

    class Algorithm(models.TextChoices):
        ES256 = "ES256", "ES256 (ECDSA, P-256)"
        RS256 = "RS256", "RS256 (RSA, 2048 bits)"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = NormalizedCharField(max_length=100, validators=[MinLengthValidator(2)])
    # Not unique: a conflict would reveal another organization's slug.
    slug = models.CharField(
        max_length=50,
        validators=[
            MinLengthValidator(2),
            RegexValidator(r"\A[a-z0-9-]+\Z", "Use lower-case letters, digits and hyphens."),
        ],
    )
    plan_tier = models.CharField(max_length=16, choices=Plan, default=Plan.FREE)
    max_agents = models.PositiveIntegerField(default=100)
    max_tokens_per_month = models.PositiveIntegerField(
        null=True, blank=True, default=10_000, help_text="Leave empty for no limit."
    )
    max_executions = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Leave empty for the deployment's default."
    )
    max_event_bytes = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text=(
            "Size of the events of all executions. Leave empty for the deployment's default."
        ),
    )
    max_file_bytes = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text=(
            "Size of the files of all executions. Leave empty for the deployment's default."
        ),
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    tokens_valid_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text=(
            "Tokens that name no generation and were issued before this time no longer work. "
            "Whole seconds."
        ),
    )
    token_generation = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="How often it was reactivated. Tokens name the generation they belong to.",
    )
    signing_algorithm = models.CharField(max_length=8, choices=Algorithm, default=Algorithm.ES256)
    time_zone = models.CharField(max_length=64, default="UTC")
    execution_retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)],
        help_text=(
            "Executions that ended longer ago are deleted every night. Leave empty to keep them."
        ),
    )
    created_by = models.ForeignKey(
        User,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="founded_organizations",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(plan_tier__in=["free", "pro", "enterprise"]),
                name="organizations_organization_plan_tier_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended", "deleted", "system"]),
                name="organizations_organization_status_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(signing_algorithm__in=["ES256", "RS256"]),
                name="organizations_organization_signing_algorithm_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        """`org-` and the UUID, as in tokens and responses."""
        return f"{ORGANIZATION_ID_PREFIX}{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @staticmethod
    def parse_public_id(text: str) -> UUID | None:
        """The UUID in `org-<uuid>`, or None for anything else, even other spellings of a UUID."""
        found = re.fullmatch(
            r"org-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", text
        )
        return UUID(found[1]) if found else None


class Membership(models.Model):
    """A person's role in an organization."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        ADMIN = "admin", "Admin"
        OPERATOR = "operator", "Operator"
        VIEWER = "viewer", "Viewer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user"], name="organizations_membership_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "operator", "viewer"]),
                name="organizations_membership_role_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.organization}"


class Principal(models.Model):
    """Maps a client id to its organization. Read before the tenant is known, so it has no secrets.

    `role` is set for agents that were made members of the organization.
    """

    class Role(models.TextChoices):
        MEMBER = "member", "Member"
        ADMIN = "admin", "Admin"

    id = models.UUIDField(
        primary_key=True, help_text="The id of the agent, which is also its client id."
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="principals"
    )
    role = models.CharField(max_length=16, choices=Role, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["", "member", "admin"]),
                name="organizations_principal_role_valid",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
