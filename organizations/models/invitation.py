from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.functional import cached_property

from core.database_clock import database_time
from core.text import NormalizedEmailField
from organizations.models.organization import Membership, may_act
from organizations.models.people import User
from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet


class InvitationQuerySet(OrganizationScopedQuerySet):
    def backed(self) -> Self:
        """Annotate `is_backed`, whether the inviter may still invite, and `has_expired`.

        For a person that depends on a membership in which they may act, for an agent on
        `agents_may_administer` (agents.0004), because agents belong to an app above this one. It is
        false if the inviter no longer exists.
        """
        inviters = Membership.objects.filter(
            may_act("user__is_active", "organization__status"),
            organization=models.OuterRef("organization"),
            user=models.OuterRef("invited_by"),
        )
        owners = inviters.filter(role="owner")
        return self.annotate(
            has_expired=models.ExpressionWrapper(
                models.Q(expires_at__lte=Now()), output_field=models.BooleanField()
            ),
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
            ),
        )

    def open(self) -> Self:
        return self.filter(accepted_at=None, revoked_at=None)

    def revoke(self) -> int:
        return self.update(revoked_at=timezone.now())


class Invitation(OrganizationScopedModel):
    """An offer of membership to an email address. Its secret is shown once and stored as a MAC."""

    email = NormalizedEmailField(max_length=254)
    role = models.CharField(max_length=16, choices=Membership.Role, default=Membership.Role.VIEWER)
    secret_mac = models.BinaryField(max_length=32)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    invited_by_agent_id = models.UUIDField(null=True)
    inviter_label = models.CharField(
        max_length=255,
        blank=True,
        db_default="",
        help_text="The name of the inviter as the audit log shows it.",
    )
    mailed_at = models.DateTimeField(
        null=True, help_text="When the link was mailed. Only a mailed link proves the address."
    )
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="organizations_invitation_open_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "operator", "viewer"]),
                name="organizations_invitation_role_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation of {self.email}"

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.revoked_at is None

    def is_usable(self) -> bool:
        return self.status == "open"

    @cached_property
    def is_backed(self) -> bool:
        """Whether the inviter may still invite.

        Lists annotate it with InvitationQuerySet.backed().
        """
        return type(self).objects.backed().filter(pk=self.pk, is_backed=True).exists()

    @cached_property
    def has_expired(self) -> bool:
        """Whether its time is over by the database's clock. Annotated as `is_backed` is."""
        return self.expires_at <= database_time()

    @property
    def status(self) -> str:
        """`accepted`, `revoked`, `expired`, `void` (the inviter may no longer invite) or `open`."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        if self.has_expired:
            return "expired"
        return "open" if self.is_backed else "void"
