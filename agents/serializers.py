from typing import Any

from rest_framework import serializers

from agents import examples
from agents.models import (
    MAX_CAPABILITIES,
    MAX_RUNBOOK_URL,
    Agent,
    validate_capability,
    validate_runbook_url,
    validate_semantic_version,
)
from core.examples import example
from core.fields import NameField
from core.serializers import BoundedListField, StrictSerializer
from organizations.actors import Scope


@example(examples.AGENT, sent=examples.NEW_AGENT)
class AgentSerializer(StrictSerializer):
    """The representation of an agent in requests and responses."""

    agentId = serializers.UUIDField(source="id", read_only=True)
    organizationId = serializers.CharField(
        source="organization.public_id", read_only=True, help_text="`org-` followed by a UUID."
    )
    name = serializers.CharField(
        read_only=True, help_text="The part of the email address before the @."
    )
    email = serializers.EmailField(max_length=255)
    agentType = serializers.ChoiceField(source="agent_type", choices=Agent.Type.choices)
    version = serializers.CharField(
        max_length=64, validators=[validate_semantic_version], help_text="A semantic version."
    )
    capabilities = BoundedListField(
        child=serializers.CharField(max_length=128, validators=[validate_capability]),
        min_length=1,
        max_length=MAX_CAPABILITIES,
        help_text="Each has the form `resource:action`.",
    )
    owner = NameField(max_length=128)
    deploymentEnv = serializers.ChoiceField(
        source="deployment_env", choices=Agent.Environment.choices
    )
    runbookUrl = serializers.CharField(
        source="runbook_url",
        max_length=MAX_RUNBOOK_URL,
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        validators=[validate_runbook_url],
        help_text="Where to read what to do when this agent fails: an https URL, or empty.",
    )
    scopes = BoundedListField(
        child=serializers.ChoiceField(choices=Scope.choices),
        max_length=len(Scope),
        required=False,
        help_text="The scopes that the agent's tokens may carry.",
    )
    isPublic = serializers.BooleanField(source="is_public", required=False)
    status = serializers.ChoiceField(choices=Agent.Status.choices, read_only=True)
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    updatedAt = serializers.DateTimeField(source="updated_at", read_only=True)

    def validate_capabilities(self, capabilities: list[str]) -> list[str]:
        return _without_repeats(capabilities)

    def validate_scopes(self, scopes: list[str]) -> list[str]:
        return sorted(_without_repeats(scopes))


@example(examples.AGENT, sent=examples.AGENT_CHANGE)
class AgentChangeSerializer(AgentSerializer):
    """A partial change. `status` can only be set to active or suspended."""

    status = serializers.ChoiceField(
        choices=[Agent.Status.ACTIVE.value, Agent.Status.SUSPENDED.value], required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"partial": True})


def _without_repeats(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))
