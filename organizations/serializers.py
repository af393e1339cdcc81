"""Serializers of organizations, members and invitations."""

import re
from typing import Any

from rest_framework import serializers

from core.examples import example
from core.fields import NameField
from core.serializers import StrictSerializer
from core.time_zones import known_time_zones
from organizations import examples
from organizations.models import MAX_RETENTION_DAYS, Invitation, Membership, Organization, Principal
from organizations.people.mail_addresses import validate_mail_address

SLUG = re.compile(r"[a-z0-9-]+")


def validate_slug(text: str) -> None:
    if not SLUG.fullmatch(text):
        raise serializers.ValidationError("Use lower-case letters, digits and hyphens.")


def validate_time_zone(name: str) -> None:
    if name not in known_time_zones():
        raise serializers.ValidationError(
            "Use the name of an IANA time zone, for example Europe/Berlin."
        )


@example(examples.ORGANIZATION, sent=examples.NEW_ORGANIZATION)
class OrganizationSerializer(StrictSerializer):
    """An organization. Only the platform's staff can change its plan, limits and status."""

    organizationId = serializers.CharField(
        source="public_id", read_only=True, help_text="`org-` followed by a UUID."
    )
    name = NameField(min_length=2, max_length=100)
    slug = serializers.CharField(
        min_length=2,
        max_length=50,
        required=False,
        validators=[validate_slug],
        help_text="The default is made from the name. Slugs are not unique.",
    )
    planTier = serializers.ChoiceField(
        source="plan_tier", choices=Organization.Plan.choices, read_only=True
    )
    maxAgents = serializers.IntegerField(source="max_agents", read_only=True)
    maxTokensPerMonth = serializers.IntegerField(
        source="max_tokens_per_month",
        read_only=True,
        allow_null=True,
        help_text="null means no limit.",
    )
    status = serializers.ChoiceField(choices=Organization.Status.choices, read_only=True)
    signingAlgorithm = serializers.ChoiceField(
        source="signing_algorithm",
        choices=Organization.Algorithm.choices,
        required=False,
        help_text=(
            "The algorithm that signs new tokens. An algorithm that this organization has "
            "not used before takes effect a few minutes later, when verifiers have had time "
            "to fetch its key."
        ),
    )
    timeZone = serializers.CharField(
        source="time_zone",
        max_length=64,
        required=False,
        validators=[validate_time_zone],
        help_text="The IANA time zone of the dashboard's pages.",
    )
    executionRetentionDays = serializers.IntegerField(
        source="execution_retention_days",
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        required=False,
        allow_null=True,
        help_text=("Executions that ended longer ago are deleted every night. null keeps them."),
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    updatedAt = serializers.DateTimeField(source="updated_at", read_only=True)


@example(examples.ORGANIZATION, sent=examples.ORGANIZATION_CHANGE)
class OrganizationChangeSerializer(OrganizationSerializer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"partial": True})


@example(examples.PERSON)
class MemberSerializer(serializers.Serializer[Membership | Principal]):
    """A member: a person, or an agent that was made a member."""

    memberId = serializers.UUIDField(source="pk", help_text="For an agent, the agent's id.")
    kind = serializers.SerializerMethodField()
    role = serializers.CharField()
    agentId = serializers.SerializerMethodField()
    userId = serializers.SerializerMethodField()
    email = serializers.SerializerMethodField()
    emailVerified = serializers.SerializerMethodField(
        help_text="Whether the person's email address is verified. null for an agent."
    )
    name = serializers.SerializerMethodField()
    createdAt = serializers.DateTimeField(source="created_at")

    def get_kind(self, member: Membership | Principal) -> str:
        return "person" if isinstance(member, Membership) else "agent"

    def get_agentId(self, member: Membership | Principal) -> str | None:
        return str(member.pk) if isinstance(member, Principal) else None

    def get_userId(self, member: Membership | Principal) -> str | None:
        return str(member.user_id) if isinstance(member, Membership) else None

    def get_email(self, member: Membership | Principal) -> str | None:
        return member.user.email if isinstance(member, Membership) else None

    def get_emailVerified(self, member: Membership | Principal) -> bool | None:
        return member.user.is_verified if isinstance(member, Membership) else None

    def get_name(self, member: Membership | Principal) -> str | None:
        return member.user.name if isinstance(member, Membership) else None


@example(sent=examples.NEW_MEMBER)
class NewMemberSerializer(StrictSerializer):
    """Either `agentId` with an agent's role, or the `email` to invite with a person's role."""

    agentId = serializers.UUIDField(required=False)
    email = serializers.EmailField(
        max_length=254, required=False, validators=[validate_mail_address]
    )
    role = serializers.CharField(max_length=16)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if ("agentId" in fields) == ("email" in fields):
            raise serializers.ValidationError({"agentId": ["Give either agentId or email."]})
        check_role(fields["role"], is_agent="agentId" in fields)
        return fields


@example(sent=examples.ROLE)
class RoleSerializer(StrictSerializer):
    role = serializers.CharField(max_length=16)


def check_role(role: str, *, is_agent: bool) -> None:
    """Raise ValidationError, listing the allowed roles, if a member of this kind cannot have it."""
    roles = (Principal if is_agent else Membership).Role.values
    if role not in roles:
        raise serializers.ValidationError({"role": [f"Use one of: {', '.join(roles)}."]})


@example(examples.INVITATION, sent=examples.NEW_INVITATION)
class InvitationSerializer(StrictSerializer):
    invitationId = serializers.UUIDField(source="id", read_only=True)
    email = serializers.EmailField(max_length=254, validators=[validate_mail_address])
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    status = serializers.SerializerMethodField(
        help_text=(
            "`open`, `accepted`, `revoked`, `expired`, or `void` if the inviter may no "
            "longer invite."
        )
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    expiresAt = serializers.DateTimeField(source="expires_at", read_only=True)
    acceptedAt = serializers.DateTimeField(source="accepted_at", read_only=True, allow_null=True)
    revokedAt = serializers.DateTimeField(source="revoked_at", read_only=True, allow_null=True)

    def get_status(self, invitation: Invitation) -> str:
        return invitation.status


@example(examples.INVITATION_WITH_LINK, sent=examples.NEW_INVITATION)
class InvitationWithLinkSerializer(InvitationSerializer):
    acceptUrl = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text=(
            "The link to pass on, shown only once. null where mail is configured: the link "
            "was mailed to the address and is shown to nobody else."
        ),
    )


@example(sent=examples.ACCEPTANCE)
class AcceptanceSerializer(StrictSerializer):
    """`password` belongs to an account of the invited address, or becomes that of a new one."""

    token = serializers.CharField(max_length=128, help_text="The last part of the invitation link.")
    name = NameField(max_length=150, required=False)
    password = serializers.CharField(
        max_length=4096, trim_whitespace=False, style={"input_type": "password"}
    )


@example(examples.ACCEPTED)
class AcceptedSerializer(serializers.Serializer[Membership]):
    organizationId = serializers.CharField(source="organization.public_id")
    organizationName = serializers.CharField(source="organization.name")
    email = serializers.CharField(source="user.email")
    role = serializers.CharField()
