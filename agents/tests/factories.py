from itertools import count
from typing import Any

from agents.models import Agent
from core.ids import uuid7
from organizations.models import Organization, Principal
from organizations.tenancy.scope import organization_scope

_numbers = count(1)


def make_agent(organization: Organization, **overrides: Any) -> Agent:
    """An active agent of the organization."""
    fields: dict[str, Any] = {
        "id": uuid7(),
        "email": f"agent-{next(_numbers)}@agents.example.com",
        "agent_type": Agent.Type.SCREENER,
        "version": "1.0.0",
        "capabilities": ["resume:read"],
        "owner": "platform",
        "deployment_env": Agent.Environment.PRODUCTION,
    }
    fields |= overrides
    with organization_scope(organization):
        Principal.objects.create(id=fields["id"], organization=organization)
        return Agent.objects.create(organization=organization, **fields)
