from django.contrib import admin

from organizations.admin_base import OrganizationModelAdmin, ReadOnlyAdmin
from tokens.models import Credential, Resource, ResourceGrant, SigningKey, TokenEvent


@admin.register(Credential)
class CredentialAdmin(OrganizationModelAdmin):
    """Only the secret's hint is shown. The MAC is neither shown nor searchable."""

    list_display = ("id", "agent", "status", "secret_hint", "expires_at", "last_used_at")
    list_filter = ("status",)
    list_select_related = ("agent",)
    search_fields = ("agent__email",)
    fields = (
        "id",
        "agent",
        "status",
        "name",
        "secret_hint",
        "created_at",
        "expires_at",
        "rotated_at",
        "previous_expires_at",
        "revoked_at",
        "last_used_at",
    )


@admin.register(Resource)
class ResourceAdmin(OrganizationModelAdmin):
    """Resources that agents can get tokens for."""

    list_display = ("identifier", "name", "scopes", "token_lifetime", "created_at")
    search_fields = ("identifier", "name")
    fields = (
        "id",
        "identifier",
        "name",
        "scopes",
        "scope_descriptions",
        "token_lifetime",
        "created_at",
        "updated_at",
    )


@admin.register(ResourceGrant)
class ResourceGrantAdmin(OrganizationModelAdmin):
    """Agents that may get tokens for a resource."""

    list_display = ("resource", "agent", "scopes", "created_at")
    list_select_related = ("resource", "agent")
    search_fields = ("resource__identifier", "agent__email")
    fields = ("id", "resource", "agent", "scopes", "created_at", "updated_at")


@admin.register(TokenEvent)
class TokenEventAdmin(OrganizationModelAdmin):
    list_display = (
        *("created_at", "outcome", "times", "reason", "agent", "resource", "scope", "ip_address"),
    )
    list_filter = ("outcome",)
    list_select_related = ("agent",)
    fields = (
        "created_at",
        "outcome",
        "times",
        "reason",
        "agent",
        "credential",
        "token_id",
        "scope",
        "resource",
        "ip_address",
    )


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """The deployment's signing keys without their private parts. `manage.py` rotates them."""

    list_display = ("kid", "algorithm", "active_from", "retired_at", "removed_at")
    fields = ("kid", "algorithm", "public_jwk", "active_from", "retired_at", "removed_at")
