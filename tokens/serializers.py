from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from core.examples import example
from core.fields import NameField, TimeField
from core.serializers import BoundedListField, StrictSerializer
from tokens import examples
from tokens.actions import MAX_GRACE
from tokens.models import (
    MAX_CREDENTIAL_NAME,
    MAX_IDENTIFIER_LENGTH,
    MAX_SCOPE_LENGTH,
    MAX_TOKEN_LIFETIME,
    MIN_TOKEN_LIFETIME,
    Credential,
    ResourceGrant,
)
from tokens.resources import (
    MAX_DESCRIPTION,
    MAX_SCOPES,
    identifier_problem,
    scope_problem,
    scopes_problem,
)


def validate_end(serializer: object, moment: datetime | None) -> datetime | None:
    """A serializer's validation method for the expiry of a secret."""
    if moment is not None and moment <= timezone.now():
        raise serializers.ValidationError("Must lie in the future.")
    return moment


class OldSecretSerializer(StrictSerializer):
    """A replaced secret in its grace period."""

    secretHint = serializers.CharField(
        source="hint",
        read_only=True,
        help_text="The last four characters of the secret. Empty if they were not kept.",
    )
    expiresAt = serializers.DateTimeField(source="ends_at", read_only=True)


@example(examples.CREDENTIAL, sent=examples.NEW_CREDENTIAL)
class CredentialSerializer(StrictSerializer):
    """A credential without its secret."""

    credentialId = serializers.UUIDField(source="id", read_only=True)
    clientId = serializers.UUIDField(source="agent_id", read_only=True)
    status = serializers.ChoiceField(
        source="shown_status",
        choices=Credential.Status.choices,
        read_only=True,
        help_text="All credentials of a decommissioned agent are revoked.",
    )
    name = NameField(
        max_length=MAX_CREDENTIAL_NAME,
        required=False,
        allow_blank=True,
        help_text="Where the secret is used, for example `prod, k8s`.",
    )
    secretHint = serializers.CharField(
        source="secret_hint", read_only=True, help_text="The last four characters of the secret."
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    expiresAt = TimeField(
        source="expires_at",
        required=False,
        allow_null=True,
        help_text="null means that it does not expire.",
    )
    rotatedAt = serializers.DateTimeField(source="rotated_at", read_only=True, allow_null=True)
    previousExpiresAt = serializers.DateTimeField(
        source="old_secrets_end",
        read_only=True,
        allow_null=True,
        help_text="When the last secret from before the latest rotation expires.",
    )
    oldSecrets = OldSecretSerializer(
        source="present_old_secrets",
        many=True,
        read_only=True,
        help_text="Old secrets that still work, newest first.",
    )
    previousSecretLastUsedAt = serializers.DateTimeField(
        source="previous_last_used_at",
        read_only=True,
        allow_null=True,
        help_text=(
            "When an old secret last obtained a token, accurate to a minute. It shows "
            "whether a client still uses one."
        ),
    )
    revokedAt = serializers.DateTimeField(source="ended_at", read_only=True, allow_null=True)
    lastUsedAt = serializers.DateTimeField(
        source="last_used_at", read_only=True, allow_null=True, help_text="Accurate to a minute."
    )

    validate_expiresAt = validate_end


@example(examples.CREDENTIAL_WITH_SECRET, sent=examples.NEW_CREDENTIAL)
class CredentialWithSecretSerializer(CredentialSerializer):
    clientSecret = serializers.CharField(
        read_only=True, help_text="The client secret. It is shown only once."
    )


@example(sent=examples.CREDENTIAL_CHANGE)
class CredentialChangeSerializer(StrictSerializer):
    """The fields that can change without a new secret."""

    name = NameField(max_length=MAX_CREDENTIAL_NAME, allow_blank=True)


@example(sent=examples.ROTATION)
class RotationSerializer(StrictSerializer):
    graceSeconds = serializers.IntegerField(
        min_value=0,
        max_value=int(MAX_GRACE.total_seconds()),
        default=0,
        help_text=(
            "How long the old secret keeps working. Secrets from earlier rotations keep the "
            "end they were given then. 0 ends all old secrets at once."
        ),
    )
    expiresAt = TimeField(
        required=False,
        allow_null=True,
        help_text=(
            "When the new secret expires; null means never. The default is the same "
            "lifetime as the previous secret had."
        ),
    )
    validate_expiresAt = validate_end


class ResourceScopeSerializer(StrictSerializer):
    """A scope of a resource, as the service defines it."""

    name = serializers.CharField(
        max_length=MAX_SCOPE_LENGTH, help_text="The name of the scope, for example `files:read`."
    )
    description = NameField(max_length=MAX_DESCRIPTION, required=False, allow_blank=True)

    def validate_name(self, name: str) -> str:
        if problem := scope_problem(name):
            raise serializers.ValidationError(problem)
        return name

    def validate(self, fields: dict[str, str]) -> dict[str, str]:
        if "name" not in fields:  # a partial change of the resource still needs whole scopes
            raise serializers.ValidationError({"name": ["This field is required."]})
        return fields


@example(examples.SHOWN_RESOURCE, sent=examples.NEW_RESOURCE)
class ResourceSerializer(StrictSerializer):
    """A service that accepts tokens issued for it."""

    resourceId = serializers.UUIDField(source="id", read_only=True)
    identifier = serializers.CharField(
        max_length=MAX_IDENTIFIER_LENGTH,
        trim_whitespace=False,
        help_text=(
            "The service's address in normal form. Clients send it as `resource`, and "
            "tokens carry it as `aud`. https, or http on a loopback address; without a "
            "fragment."
        ),
    )
    name = NameField(max_length=100)
    scopes = ResourceScopeSerializer(  # type: ignore[call-arg]  # that of the list
        source="described_scopes",
        many=True,
        max_length=MAX_SCOPES,
        required=False,
        help_text=f"What its tokens may allow: at most {MAX_SCOPES}.",
    )
    tokenLifetimeSeconds = serializers.IntegerField(
        source="token_lifetime",
        min_value=MIN_TOKEN_LIFETIME,
        max_value=MAX_TOKEN_LIFETIME,
        required=False,
        allow_null=True,
        help_text="null means the lifetime of tokens for AgentIdP's own API.",
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    updatedAt = serializers.DateTimeField(source="updated_at", read_only=True)

    def validate_identifier(self, identifier: str) -> str:
        if problem := identifier_problem(identifier):
            raise serializers.ValidationError(problem)
        return identifier

    def validate_scopes(self, scopes: list[dict[str, str]]) -> list[dict[str, str]]:
        if problem := scopes_problem([each["name"] for each in scopes]):
            raise serializers.ValidationError(problem)
        return scopes


@example(examples.SHOWN_RESOURCE, sent=examples.RESOURCE_CHANGE)
class ResourceChangeSerializer(ResourceSerializer):
    """A partial change. The identifier is fixed, because services compare tokens with it."""

    identifier = serializers.CharField(read_only=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"partial": True})


@example(examples.GRANT)
class ResourceGrantSerializer(serializers.Serializer[ResourceGrant]):
    """An agent that may get tokens for the resource."""

    agentId = serializers.UUIDField(source="agent_id")
    email = serializers.CharField(source="agent.email")
    scopes = serializers.ListField(
        child=serializers.CharField(),
        help_text="The scopes that the agent's tokens may carry at this resource.",
    )
    createdAt = serializers.DateTimeField(source="created_at")
    updatedAt = serializers.DateTimeField(source="updated_at")


@example(sent=examples.GRANTED_SCOPES)
class GrantedScopesSerializer(StrictSerializer):
    scopes = BoundedListField(
        child=serializers.CharField(max_length=MAX_SCOPE_LENGTH),
        max_length=MAX_SCOPES,
        help_text="Some of the resource's scopes. Empty for tokens without scopes.",
    )


@example(sent=examples.TOKEN_FORM, media_type="application/x-www-form-urlencoded")
class TokenFormSerializer(serializers.Serializer[None]):
    """The form of introspection and revocation."""

    token = serializers.CharField(trim_whitespace=False)
    token_type_hint = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="Ignored, because there is only one type of token.",
    )


@example(examples.INTROSPECTION)
class IntrospectionSerializer(serializers.Serializer[None]):
    """RFC 7662 section 2.2. An inactive token has only `active`."""

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
