"""The identity of an agent, its owner, and whether it may act."""

from __future__ import annotations

import re
from typing import Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from core.errors import DomainError
from core.text import NormalizedCharField, NormalizedEmailField, folded
from organizations.actors import Scope
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet

# The regular expression that semver.org suggests.
SEMANTIC_VERSION = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
CAPABILITY = re.compile(r"[a-z0-9][a-z0-9_.-]*:[a-z0-9*][a-z0-9_.*-]*")
MAX_CAPABILITIES = 64
# RFC 3986 in ASCII without userinfo: https://bank.example@evil.example leads to evil.example.
RUNBOOK_URL = re.compile(
    r"https://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?#](?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?"
)
# Asked before the patterns, which need hundreds of megabytes for a text of one.
MAX_RUNBOOK_URL = 500
MAX_VERSION = 64


class AgentAlreadyExists(DomainError):
    code = "AGENT_ALREADY_EXISTS"
    message = "An agent with this email address already exists in the organization."


class AgentAlreadyDecommissioned(DomainError):
    code = "AGENT_ALREADY_DECOMMISSIONED"
    message = "The agent is decommissioned. That cannot be undone; register a new agent."


class AgentNotActive(DomainError):
    code = "AGENT_NOT_ACTIVE"
    message = "The agent is not active."


def validate_semantic_version(text: str) -> None:
    if len(text) > MAX_VERSION or not SEMANTIC_VERSION.fullmatch(text):
        raise ValidationError("Use a semantic version, for example 1.4.0 or 2.0.0-rc.1.")


def validate_capability(text: str) -> None:
    if not CAPABILITY.fullmatch(text):
        raise ValidationError("Use the form resource:action, for example resume:read.")


def validate_runbook_url(text: str) -> None:
    """Raise ValidationError unless it is an https URL: pages link to it, so scripts, files and
    plain http are refused."""
    if len(text) > MAX_RUNBOOK_URL or not RUNBOOK_URL.fullmatch(text):
        raise ValidationError(
            "Use a full https URL in ASCII without a user name, for example "
            "https://wiki.example.com/runbooks/screener."
        )


def default_scopes() -> list[str]:
    """The default scopes of a new agent: to read, and to report its executions."""
    return [
        Scope.AGENTS_READ.value,
        Scope.EXECUTIONS_READ.value,
        Scope.EXECUTIONS_WRITE.value,
        Scope.TOKENS_READ.value,
    ]


class AgentQuerySet(OrganizationScopedQuerySet):
    def active(self) -> Self:
        return self.filter(status=Agent.Status.ACTIVE)

    def search(self, text: str) -> Self:
        """The agents whose address or owner contains the text, ignoring case."""
        return self.filter(models.Q(email__icontains=text) | models.Q(owner__icontains=text))

    def identified_by(self, text: str) -> Self:
        """The agent with this address (ignoring case) or client id."""
        try:
            return self.filter(pk=UUID(text))
        except ValueError:
            return self.filter(Exact(Lower("email"), folded(text)))

    def counted(self) -> Self:
        """The agents that count against the plan: all but the decommissioned ones."""
        return self.exclude(status=Agent.Status.DECOMMISSIONED)


class Agent(OrganizationScopedModel):
    """A registered agent. Its id is also its OAuth client id and the subject of its tokens."""

    class Type(models.TextChoices):
        SCREENER = "screener", "Screener"
        CLASSIFIER = "classifier", "Classifier"
        ORCHESTRATOR = "orchestrator", "Orchestrator"
        EXTRACTOR = "extractor", "Extractor"
        SUMMARIZER = "summarizer", "Summarizer"
        ROUTER = "router", "Router"
        MONITOR = "monitor", "Monitor"
        CUSTOM = "custom", "Custom"

    class Environment(models.TextChoices):
        DEVELOPMENT = "development", "Development"
        STAGING = "staging", "Staging"
        PRODUCTION = "production", "Production"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        DECOMMISSIONED = "decommissioned", "Decommissioned"

    email = NormalizedEmailField(max_length=255)
    agent_type = models.CharField(max_length=32, choices=Type)
    version = models.CharField(max_length=MAX_VERSION, validators=[validate_semantic_version])
    capabilities = ArrayField(
        models.CharField(max_length=128, validators=[validate_capability]),
        size=MAX_CAPABILITIES,
    )
    owner = NormalizedCharField(max_length=128)
    deployment_env = models.CharField(max_length=16, choices=Environment)
    status = models.CharField(max_length=24, choices=Status, default=Status.ACTIVE)
    scopes = ArrayField(models.CharField(max_length=32), default=default_scopes, blank=True)
    runbook_url = models.CharField(
        max_length=MAX_RUNBOOK_URL,
        blank=True,
        default="",
        db_default="",
        validators=[validate_runbook_url],
        help_text="Where to read what to do when this agent fails.",
    )
    is_public = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)
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
    decommissioned_at = models.DateTimeField(null=True, editable=False)

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            # Per organization: a global constraint would reveal other organizations' agents.
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                name="agents_agent_email_unique",
                violation_error_message="An agent with this email address already exists.",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended", "decommissioned"]),
                name="agents_agent_status_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    agent_type__in=[
                        "screener",
                        "classifier",
                        "orchestrator",
                        "extractor",
                        "summarizer",
                        "router",
                        "monitor",
                        "custom",
                    ]
                ),
                name="agents_agent_agent_type_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(deployment_env__in=["development", "staging", "production"]),
                name="agents_agent_deployment_env_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="agents_agent_newest"),
            models.Index(fields=["organization", "status"], name="agents_agent_status"),
            models.Index(fields=["organization", "owner"], name="agents_agent_owner"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def name(self) -> str:
        """The short name for people: the part of the address before the @."""
        return self.email.partition("@")[0]

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def is_decommissioned(self) -> bool:
        return self.status == self.Status.DECOMMISSIONED
