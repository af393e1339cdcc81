"""Who belongs where. User, Organization, Membership and Principal are read before the tenant is
known, so they are not isolated; everything else inherits OrganizationScopedModel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Self
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import (
    MaxValueValidator,
    MinLengthValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.functional import cached_property

from core.ids import uuid7
from core.rules import RowOf, Rule
from core.text import NormalizedCharField, NormalizedEmailField, folded
from organizations.people.passwords import compute_hash, salt_of

MAX_ACCOUNTS_OF_ADDRESS = 1000


class AccountLinkQuerySet(models.QuerySet[Any]):
    def open(self) -> Self:
        """Those that can still be used; used ones are deleted."""
        return self.filter(expires_at__gt=timezone.now())


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An account that the operator makes, and so vouches for its address."""
        fields = {"email_verified_at": timezone.now()} | fields
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def of_address(self, email: str) -> list[User]:
        """Every account with this address, whatever its case: a proven one first, then by age."""
        return self._proven_first(models.Q(Exact(Lower("email"), folded(email))))

    def called(self, name: str) -> list[User]:
        """The accounts with this address, and the one with this short name: one query."""
        wanted = folded(name)
        is_short_name = ~models.Q(username="") & models.Q(Exact(Lower("username"), wanted))
        return self._proven_first(models.Q(Exact(Lower("email"), wanted)) | is_short_name)

    def _proven_first(self, wanted: models.Q) -> list[User]:
        proven_first = models.F("email_verified_at").asc(nulls_last=True)
        found = self.filter(wanted).order_by(proven_first, "created_at", "pk")
        return list(found[:MAX_ACCOUNTS_OF_ADDRESS])

    def hash_password(self, email: str, password: str | None) -> str:
        """What to store for an account with this address; None makes a password that opens
        nothing."""
        if password is None:
            return make_password(None)
        return compute_hash(password, salt_of(email, self.of_address(email)))


class User(AbstractBaseUser, PermissionsMixin):
    """A person's account. Belongs to organizations through memberships.

    An address belongs to at most one account that proved it. Unproven accounts may share it: each
    came from the link of one organization, which says nothing about the others.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = NormalizedEmailField(max_length=254)
    email_verified_at = models.DateTimeField(
        null=True, editable=False, help_text="Empty: nothing proves that the address is theirs."
    )
    created_through = models.ForeignKey(
        "Organization",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        help_text="Whose invitation made the account, with the address that it still has.",
    )
    username = NormalizedCharField(
        max_length=64,
        blank=True,
        help_text="A short name to sign in with, for accounts that other systems know by name.",
    )
    name = NormalizedCharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    sessions_valid_from = models.DateTimeField(
        null=True, editable=False, help_text="Sessions that began earlier have ended."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=models.Q(email_verified_at__isnull=False),
                name="organizations_user_verified_email_unique",
            ),
            models.UniqueConstraint(
                Lower("username"),
                condition=~models.Q(username=""),
                name="organizations_user_username_unique",
            ),
        ]
        indexes = [models.Index(Lower("email"), name="organizations_user_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_verified(self) -> bool:
        """Whether the person proved that the address is theirs, or the operator vouches for it."""
        return self.email_verified_at is not None

    def get_session_auth_hash(self) -> str:
        """Sessions of pages end with those of the API."""
        return super().get_session_auth_hash() + self._beginning

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for known in super().get_session_auth_fallback_hash():
            yield known + self._beginning

    @property
    def _beginning(self) -> str:
        return "" if self.sessions_valid_from is None else str(self.sessions_valid_from.timestamp())

    def set_password(self, raw_password: str | None) -> None:
        """A new password ends the sessions that the old one opened, whoever sets it."""
        self.use_hash(type(self).objects.hash_password(self.email, raw_password))
        self._password = raw_password

    def use_hash(self, hashed: str) -> None:
        """The same for a password that was hashed before, while no lock was held."""
        self.password = hashed
        self.sessions_valid_from = timezone.now()

    def adopt_hash(self, hashed: str) -> None:
        """Store another hash of the same password, but not over another password that was set while
        this one was hashed."""
        known, self.password = self.password, hashed
        type(self).objects.filter(pk=self.pk, password=known).update(password=hashed)


class AccountLink(models.Model):
    """A link to a new password or to another address. Its secret is kept as a MAC."""

    class Purpose(models.TextChoices):
        PASSWORD = "password", "New password"
        ADDRESS = "address", "Another address"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    email = NormalizedEmailField(max_length=254, blank=True, help_text="The other address.")
    secret_mac = models.BinaryField(max_length=32, help_text="Empty: not mailed yet.")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["password", "address"]),
                name="organizations_accountlink_purpose_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"link of {self.user_id}"


MAX_RETENTION_DAYS = 3650
"""Days."""
ORGANIZATION_ID_PREFIX = "org-"
UNIDENTIFIED_ORGANIZATION_ID = UUID(int=0)
"""Token requests with an unknown client id are recorded here, in the time a known one takes."""


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def for_organization(self, organization: Organization) -> Self:
        """The organization itself: what its own members may see."""
        return self.filter(pk=organization.pk)

    def of_person(self, user: User) -> Self:
        """The active ones that the person belongs to, the first joined first."""
        own = self.filter(memberships__user=user, status="active")
        joined_at = models.F("memberships__created_at")
        return own.annotate(joined_at=joined_at).order_by("joined_at", "id")


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


class Organization(models.Model):
    """A tenant. Its id is written `org-` and the UUID, as in tokens and answers."""

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
    # Not unique: a refusal would tell one tenant what another is called.
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
        null=True, blank=True, default=10_000, help_text="Empty means no limit."
    )
    max_executions = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Empty: as the settings of the deployment say."
    )
    max_event_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Of the events of all executions. Empty: as above."
    )
    max_file_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Of the files of all executions. Empty: as above."
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    tokens_valid_from = models.DateTimeField(
        null=True, editable=False, help_text="Tokens issued earlier have ended; a whole second."
    )
    signing_algorithm = models.CharField(max_length=8, choices=Algorithm, default=Algorithm.ES256)
    time_zone = models.CharField(max_length=64, default="UTC")
    execution_retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)],
        help_text="Executions that ended longer ago are deleted every night. Empty: kept.",
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
        """`org-` and the UUID: how tokens and answers name the organization."""
        return f"{ORGANIZATION_ID_PREFIX}{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @staticmethod
    def parse_public_id(text: str) -> UUID | None:
        """The UUID in `org-<uuid>`; None for anything else, other spellings of a UUID included."""
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
    """Where a client id belongs, and nothing else about it: read before the tenant is known.

    `role` is set for agents that were named members of the organization's administration.
    """

    class Role(models.TextChoices):
        MEMBER = "member", "Member"
        ADMIN = "admin", "Admin"

    id = models.UUIDField(primary_key=True, help_text="The agent's id, which is its client id.")
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


class OrganizationScopedQuerySet(models.QuerySet[Any]):
    def for_organization(self, organization: Organization) -> Self:
        return self.filter(organization=organization)


class OrganizationScopedModel(models.Model):
    """A tenant's row. Subclasses declare `objects` and list IsolateOrganizations in a migration."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The unique (organization, id) that IsolateOrganizations adds serves as its index.
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


class AuditEventQuerySet(OrganizationScopedQuerySet):
    def in_order(self) -> Self:
        return self.order_by("sequence")


class AuditChain(models.Model):
    """The head of an organization's audit log: locked while an event is appended."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.BinaryField(max_length=32)

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"event {self.sequence}"


class AuditEvent(OrganizationScopedModel):
    """One security event. Append-only; each row carries the hash of the one before."""

    class Outcome(models.TextChoices):
        SUCCESS = "success", "Success"
        FAILURE = "failure", "Failure"

    sequence = models.PositiveBigIntegerField()
    occurred_at = models.DateTimeField()
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.SUCCESS)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=255)
    agent_id = models.UUIDField(null=True, help_text="The agent that it was about, if any.")
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=255, blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict)
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "sequence"], name="organizations_auditevent_sequence_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["success", "failure"]),
                name="organizations_auditevent_outcome_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "occurred_at"], name="organizations_audit_time"),
            models.Index(
                fields=["organization", "agent_id", "sequence"], name="organizations_audit_agent"
            ),
            models.Index(
                fields=["organization", "action", "sequence"], name="organizations_audit_action"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"


class InvitationQuerySet(OrganizationScopedQuerySet):
    def backed(self) -> Self:
        """With `is_backed`: whether who invited may still invite, at this moment.

        A person by an active membership, an agent by `agents_may_administer` (agents.0004), since
        agents stand above this app. Nobody can answer for an inviter who is gone.
        """
        inviters = Membership.objects.filter(
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


class Invitation(OrganizationScopedModel):
    """An offer of membership to an email address. Its secret is shown once, stored as a MAC."""

    email = NormalizedEmailField(max_length=254)
    role = models.CharField(max_length=16, choices=Membership.Role, default=Membership.Role.VIEWER)
    secret_mac = models.BinaryField(max_length=32)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    invited_by_agent_id = models.UUIDField(null=True)
    inviter_label = models.CharField(
        max_length=255, blank=True, db_default="", help_text="As the log names them."
    )
    mailed_at = models.DateTimeField(
        null=True, help_text="When the link was mailed, which makes it prove the address."
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
        """Whether the inviter may still invite; lists annotate it (InvitationQuerySet.backed)."""
        return type(self).objects.backed().filter(pk=self.pk, is_backed=True).exists()

    @property
    def status(self) -> str:
        """`accepted`, `revoked`, `expired`, `void` (the inviter may no longer) or `open`."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at <= timezone.now():
            return "expired"
        return "open" if self.is_backed else "void"


class Attempt(models.Model):
    """Attempts counted under a hashed key within a window (throttling.py); an unlogged table."""

    key = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    attempts = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.key[:8]


class AnsweredRequest(OrganizationScopedModel):
    """A request that carried an Idempotency-Key, and its answer (api/idempotency.py)."""

    principal_id = models.UUIDField(help_text="Who asked. Another one's keys are other keys.")
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32, help_text="Of what was asked.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True, help_text="JSON, without the secret that it showed.")
    secret_field = models.CharField(
        max_length=64, blank=True, help_text="The field of the secret that the answer showed."
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "principal_id", "key"],
                name="organizations_answeredrequest_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "created_at"], name="organizations_answered_age"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}"
