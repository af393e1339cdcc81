"""The agent whose credential the demonstration shows, repaired if a visitor disabled it."""

from uuid import UUID

from agents.actions import reactivate_agent
from agents.models import Agent
from demo.companies import CLIENT, NORTHWIND
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.actions import create_credential, rotate_credential
from tokens.models import Credential


def open_client() -> tuple[UUID, str]:
    """Return its client id and a new secret. A suspended agent is reactivated, a decommissioned
    one replaced.
    """
    organization = Organization.objects.get(slug=NORTHWIND.slug)
    with organization_scope(organization):
        actor = Actor.for_system(organization, "seed_demo")
        agents = Agent.objects.for_organization(organization).exclude(
            status=Agent.Status.DECOMMISSIONED
        )
        named = agents.filter(email=f"{CLIENT}@agents.{NORTHWIND.domain}").first()
        agent = named or agents.earliest("created_at", "id")
        if not agent.is_active:
            agent = reactivate_agent(agent, actor=actor)
        usable = Credential.objects.usable().filter(agent=agent)
        credential = usable.order_by("created_at", "id").first()
        if credential is None:
            _, secret = create_credential(agent, actor=actor)
        else:
            _, secret = rotate_credential(credential, actor=actor)
        return agent.pk, secret
