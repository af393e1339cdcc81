from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from agents.models import Agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.keys import key_ring, new_signing_key
from tokens.models import TokenEvent


def event(agent: Agent, at: datetime, **overrides: Any) -> TokenEvent:
    """An unsaved token event of the agent; issued by default."""
    fields: dict[str, Any] = {"outcome": TokenEvent.Outcome.ISSUED}
    return TokenEvent(
        organization=agent.organization, agent=agent, created_at=at, **(fields | overrides)
    )


def store(organization: Organization, events: Iterable[TokenEvent]) -> None:
    """Insert the events in one statement."""
    with organization_scope(organization):
        TokenEvent.objects.bulk_create(events)


def make_event(agent: Agent, at: datetime, **overrides: Any) -> TokenEvent:
    created = event(agent, at, **overrides)
    store(agent.organization, [created])
    return created


def make_timeless_key() -> None:
    """A signing key that is valid at whatever time a test travels to."""
    then = datetime(2000, 1, 1, tzinfo=UTC)
    new_signing_key(Organization.Algorithm.ES256, created_at=then, active_from=then)
    key_ring.forget()
