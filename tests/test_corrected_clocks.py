"""What ends a right ends it, although the database's clock was ahead and is corrected since."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from agents.models import Agent
from core.database_clock import database_time
from organizations.models import Organization, User
from organizations.tenancy.scope import organization_scope
from tests.rights import (
    HOUR,
    AgentsRight,
    PersonsRight,
    opens,
    suspend_and_reactivate_agent,
    suspend_and_reactivate_organization,
)
from tests.tenants import Tenant
from tokens.access_tokens import new_token_id, sign_agent_token
from tokens.keys import key_ring


@pytest.fixture
def tenant(db: None) -> Iterator[Tenant]:
    key_ring.forget()
    yield Tenant("ours")
    key_ring.forget()


@pytest.mark.parametrize("end", [suspend_and_reactivate_agent, suspend_and_reactivate_organization])
def test_a_token_of_a_clock_ahead_ends_with_a_suspension_after_the_correction(
    tenant: Tenant, end: Callable[[AgentsRight], None]
) -> None:
    right = AgentsRight(tenant)
    ahead = timezone.now() + HOUR
    token = sign_agent_token(
        agent_id=right.agent.pk,
        organization_id=tenant.organization.pk,
        credential_id=right.credential.pk,
        scope="",
        token_id=new_token_id(),
        issued_at=int(ahead.timestamp()),
        generation=right.read.generation or 0,
        algorithm="ES256",
    )
    with time_machine.travel(ahead):
        assert opens(token)

    end(right)

    with time_machine.travel(ahead + timedelta(minutes=1)):
        assert not opens(token)


@pytest.mark.parametrize("suspended", [Agent, Organization])
def test_an_agent_reactivated_by_a_clock_ahead_gets_good_tokens_after_the_correction(
    tenant: Tenant, suspended: type[Agent] | type[Organization]
) -> None:
    right = AgentsRight(tenant)
    suspend_and_reactivate_agent(right)
    suspend_and_reactivate_organization(right)
    with organization_scope(tenant.organization):
        suspended.objects.update(tokens_valid_from=timezone.now() + HOUR)

    assert right.has_new_token()
    assert PersonsRight(tenant).has_new_token()


def test_a_password_changed_while_the_clock_was_ahead_is_one_for_new_sessions(
    tenant: Tenant,
) -> None:
    user = tenant.person("admin").user
    User.objects.filter(pk=user.pk).update(sessions_valid_from=timezone.now() + HOUR)

    right = PersonsRight(tenant)

    assert right.has_token()
    assert right.has_session()


def test_a_refresh_token_used_while_the_clock_was_ahead_has_no_longer_grace(
    tenant: Tenant,
) -> None:
    right = PersonsRight(tenant)
    assert right.refresh(right.tokens)
    BlacklistedToken.objects.update(blacklisted_at=database_time() + HOUR)

    assert not right.has_session()
