"""Facts about sets of rows; models.py joins them to their models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import F
from django.utils import timezone

from core.rules import RowOf, Rule

if TYPE_CHECKING:
    from organizations.models import Membership, Organization, User  # noqa: F401


class OrganizationScopedQuerySet(models.QuerySet[Any]):
    def for_organization(self, organization: Organization) -> Self:
        return self.filter(organization=organization)


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def for_organization(self, organization: Organization) -> Self:
        """The organization itself: what its own members may see."""
        return self.filter(pk=organization.pk)

    def of_person(self, user: User) -> Self:
        """The active ones that the person belongs to, the first joined first."""
        own = self.filter(memberships__user=user, status="active")
        return own.annotate(joined_at=F("memberships__created_at")).order_by("joined_at", "id")


class MembershipQuerySet(models.QuerySet["Membership"]):
    def for_organization(self, organization: Organization) -> Self:
        return self.filter(organization=organization)

    def usable(self) -> Self:
        """Those of active people in active organizations, the first joined first."""
        return (
            self.filter(
                Rule(
                    "organizations_person_may_act",
                    RowOf("user__is_active"),
                    RowOf("organization__status"),
                )
            )
            .select_related("organization", "user")
            .order_by("created_at", "id")
        )


class InvitationQuerySet(OrganizationScopedQuerySet):
    def backed(self) -> Self:
        """With `is_backed`: whether who invited may still invite, at this moment.

        A person by an active membership, an agent by `agents_may_administer` (agents.0004), since
        agents stand above this app. Nobody can answer for an inviter who is gone.
        """
        memberships = self.model._meta.get_field("organization").related_model.memberships
        inviters = memberships.rel.related_model.objects.filter(
            organization=models.OuterRef("organization"),
            user=models.OuterRef("invited_by"),
            user__is_active=True,
        )
        owners = inviters.filter(role="owner")
        return self.annotate(
            is_backed=models.Case(
                models.When(
                    invited_by_agent_id__isnull=False,
                    then=~models.Q(role="owner")
                    & models.Q(
                        models.Func(
                            "organization_id",
                            "invited_by_agent_id",
                            function="agents_may_administer",
                            output_field=models.BooleanField(),
                        )
                    ),
                ),
                models.When(role="owner", then=models.Exists(owners)),
                default=models.Exists(inviters.filter(role__in=["owner", "admin"])),
                output_field=models.BooleanField(),
            )
        )

    def open(self) -> Self:
        return self.filter(accepted_at=None, revoked_at=None)

    def revoke(self) -> int:
        return self.update(revoked_at=timezone.now())


class AccountLinkQuerySet(models.QuerySet[Any]):
    def open(self) -> Self:
        """Those that can still be used; used ones are deleted."""
        return self.filter(expires_at__gt=timezone.now())


class AuditEventQuerySet(OrganizationScopedQuerySet):
    def in_order(self) -> Self:
        return self.order_by("sequence")
