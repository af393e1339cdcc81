from datetime import datetime

from django.utils import timezone
from rest_framework import serializers

from organizations.api import StrictSerializer
from tokens.actions import MAXIMUM_GRACE
from tokens.models import Credential


class CredentialSerializer(StrictSerializer):
    """A credential without its secret (spec/agentidp.md 4)."""

    credentialId = serializers.UUIDField(source="id", read_only=True)
    clientId = serializers.UUIDField(source="agent_id", read_only=True)
    status = serializers.ChoiceField(
        source="shown_status",
        choices=Credential.Status.choices,
        read_only=True,
        help_text="A decommissioned agent's credentials are all revoked.",
    )
    secretHint = serializers.CharField(
        source="secret_hint", read_only=True, help_text="The last four characters of the secret."
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    expiresAt = serializers.DateTimeField(
        source="expires_at", required=False, allow_null=True, help_text="None: it does not expire."
    )
    rotatedAt = serializers.DateTimeField(source="rotated_at", read_only=True, allow_null=True)
    previousExpiresAt = serializers.DateTimeField(
        source="previous_expires_at",
        read_only=True,
        allow_null=True,
        help_text="Until when the secret before the last rotation still works.",
    )
    previousSecretLastUsedAt = serializers.DateTimeField(
        source="previous_last_used_at",
        read_only=True,
        allow_null=True,
        help_text="When that secret last got a token: whether somebody still has it. To a minute.",
    )
    revokedAt = serializers.DateTimeField(source="ended_at", read_only=True, allow_null=True)
    lastUsedAt = serializers.DateTimeField(
        source="last_used_at", read_only=True, allow_null=True, help_text="Exact to a minute."
    )

    def validate_expiresAt(self, moment: datetime | None) -> datetime | None:
        if moment is not None and moment <= timezone.now():
            raise serializers.ValidationError("Must lie in the future.")
        return moment


class CredentialWithSecretSerializer(CredentialSerializer):
    clientSecret = serializers.CharField(read_only=True, help_text="Shown this once.")


class RotationSerializer(StrictSerializer):
    graceSeconds = serializers.IntegerField(
        min_value=0,
        max_value=int(MAXIMUM_GRACE.total_seconds()),
        default=0,
        help_text="How long the old secret keeps working.",
    )


class TokenFormSerializer(serializers.Serializer[None]):
    """The form of introspection and revocation."""

    token = serializers.CharField()
    token_type_hint = serializers.CharField(required=False)


class IntrospectionSerializer(serializers.Serializer[None]):
    """RFC 7662 section 2.2; an inactive token has `active` alone."""

    active = serializers.BooleanField()
    token_type = serializers.CharField(required=False)
    scope = serializers.CharField(required=False)
    client_id = serializers.CharField(required=False)
    sub = serializers.CharField(required=False)
    aud = serializers.CharField(required=False)
    iss = serializers.CharField(required=False)
    exp = serializers.IntegerField(required=False)
    iat = serializers.IntegerField(required=False)
    jti = serializers.CharField(required=False)
    organization_id = serializers.CharField(required=False)


class OAuthErrorSerializer(serializers.Serializer[None]):
    """RFC 6749 section 5.2."""

    error = serializers.CharField()
    error_description = serializers.CharField(required=False)
