"""An agent whose requests rose, and a colleague who reads."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import event, store
from executions.tests.factories import FINISHED, make_execution, make_user_of
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.token_requests import NOW
from tokens.models import Credential
from tokens.tests.factories import make_credential


@pytest.fixture
def spike(organization: Organization) -> Iterator[tuple[Agent, Credential]]:
    """An agent with two tokens a day, and 120 every 54 seconds from 13:00 yesterday."""
    with time_machine.travel(NOW, tick=False):
        agent = make_agent(organization, email="screener-04@agents.example.com")
        credential, _ = make_credential(agent)
        yesterday = datetime(2026, 2, 28, tzinfo=UTC)
        times = [yesterday - timedelta(days=n, hours=-9) for n in range(1, 15) for _ in range(2)]
        times += [yesterday + timedelta(hours=13, seconds=54 * n) for n in range(120)]
        own = {"secret_hint": credential.secret_hint, "scope": "agents:read"}
        store(
            organization,
            [
                event(agent, at, credential=credential, **own, ip_address="203.0.113.58")
                for at in times
            ],
        )
        yield agent, credential


@pytest.fixture
def colleague(organization: Organization, signed_in: Callable[[Membership], Client]) -> Client:
    """A viewer of the same organization, for whom something ran."""
    viewer = make_membership(organization, "viewer")
    make_execution(organization, FINISHED, user=make_user_of(viewer))
    return signed_in(viewer)
