from typing import Any

import django_filters
from django.db.models import QuerySet

from agents.models import Agent
from core.filters import StrictFilterSet


class AgentFilter(StrictFilterSet):
    """`owner`, `agentType`, `status`, `deploymentEnv`, and `search` over address and owner."""

    owner = django_filters.CharFilter(max_length=128)
    agentType = django_filters.ChoiceFilter(field_name="agent_type", choices=Agent.Type.choices)
    status = django_filters.ChoiceFilter(choices=Agent.Status.choices)
    deploymentEnv = django_filters.ChoiceFilter(
        field_name="deployment_env", choices=Agent.Environment.choices
    )
    search = django_filters.CharFilter(method="narrow_to_text", max_length=128)

    def narrow_to_text(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        return queryset.search(text)  # type: ignore[attr-defined]

    class Meta:
        model = Agent
        fields = ["owner", "agentType", "status", "deploymentEnv", "search"]
