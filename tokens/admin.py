from django.contrib import admin

from organizations.administration import OrganizationModelAdmin, ReadOnlyAdmin
from tokens.models import Credential, SigningKey, TokenEvent


@admin.register(Credential)
class CredentialAdmin(OrganizationModelAdmin):
    """Neither the secret's MAC nor any part of it but the hint is ever shown or searched."""

    list_display = ("id", "agent", "status", "secret_hint", "expires_at", "last_used_at")
    list_filter = ("status",)
    list_select_related = ("agent",)
    search_fields = ("agent__email",)
    fields = (
        "id",
        "agent",
        "status",
        "secret_hint",
        "created_at",
        "expires_at",
        "rotated_at",
        "previous_expires_at",
        "revoked_at",
        "last_used_at",
    )


@admin.register(TokenEvent)
class TokenEventAdmin(OrganizationModelAdmin):
    list_display = ("created_at", "outcome", "reason", "agent", "scope", "ip_address")
    list_filter = ("outcome",)
    list_select_related = ("agent",)
    fields = (
        "created_at",
        "outcome",
        "reason",
        "agent",
        "credential",
        "token_id",
        "scope",
        "ip_address",
    )


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """The deployment's keys, without their private parts; `manage.py` rotates them."""

    list_display = ("kid", "algorithm", "active_from", "retired_at", "removed_at")
    fields = ("kid", "algorithm", "public_jwk", "active_from", "retired_at", "removed_at")
