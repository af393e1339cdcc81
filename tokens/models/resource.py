"""Resources that tokens are for, and the agents allowed to get them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from agents.models import Agent
from core.text import NormalizedCharField
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet

MAX_IDENTIFIER_LENGTH = 255
MAX_SCOPE_LENGTH = 64
MIN_TOKEN_LIFETIME = 60
MAX_TOKEN_LIFETIME = 86_400
"""Both limits are in seconds."""


class Resource(OrganizationScopedModel):
    """A service that accepts tokens: the audience (`aud`) of tokens that request it (RFC 8707).

    `identifier` is a URL in normal form, compared character by character.
    """

    identifier = models.CharField(max_length=MAX_IDENTIFIER_LENGTH)
    name = NormalizedCharField(max_length=100)
    scopes = ArrayField(
        models.CharField(max_length=MAX_SCOPE_LENGTH),
        default=list,
        blank=True,
        help_text="The scopes of the service, in its own terms.",
    )
    scope_descriptions = models.JSONField(
        default=dict, blank=True, help_text="Descriptions of the scopes that have one."
    )
    token_lifetime = models.PositiveIntegerField(
        null=True, help_text="Seconds. Empty for the lifetime of tokens for AgentIdP's own API."
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "identifier"], name="tokens_resource_identifier_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(token_lifetime=None)
                | models.Q(token_lifetime__range=(MIN_TOKEN_LIFETIME, MAX_TOKEN_LIFETIME)),
                name="tokens_resource_token_lifetime_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def described_scopes(self) -> list[dict[str, str]]:
        """Each scope as `{"name", "description"}`."""
        descriptions = self.scope_descriptions
        return [{"name": name, "description": descriptions.get(name, "")} for name in self.scopes]

    @property
    def lifetime_seconds(self) -> int:
        """The lifetime of the resource's tokens, in seconds."""
        return self.token_lifetime or int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())


class ResourceGrant(OrganizationScopedModel):
    """An agent's permission to get tokens for a resource, with at most these of its scopes.

    An agent without one gets no token.
    """

    resource = models.ForeignKey(
        Resource,
        on_delete=models.PROTECT,
        related_name="grants",
        db_constraint=False,  # covered by the composite key of IsolateOrganizations
        db_index=False,
        editable=False,
    )
    agent = models.ForeignKey(
        Agent,
        on_delete=models.PROTECT,
        related_name="resource_grants",
        db_constraint=False,
        db_index=False,
        editable=False,
    )
    scopes = ArrayField(models.CharField(max_length=MAX_SCOPE_LENGTH), default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "resource", "agent"], name="tokens_resourcegrant_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "agent"], name="tokens_resourcegrant_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} at {self.resource_id}"
