"""What ends a right ends it, and nothing else, whichever clock is wrong: that of the process that
gave it, or that of the process that ends it.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from organizations.actions.invitations import LIFETIME as INVITATION_LIFETIME
from organizations.models import AccountLink
from organizations.people.links import LIFETIME as LINK_LIFETIME
from organizations.people.links import LinkNotFound, find_link, make_link
from organizations.tenancy.scope import organization_scope
from tests.rights import (
    HOUR,
    AgentsRight,
    PersonsRight,
    change_the_password,
    clock,
    close_and_open_the_account,
    decommission,
    end_its_session,
    revoke_its_credential,
    revoke_its_token,
    rotate_and_end_the_grace,
    rotate_keys_in_an_emergency,
    rotate_with_a_grace_that_ends,
    rotate_without_grace,
    suspend_and_reactivate_agent,
    suspend_and_reactivate_organization,
    use_the_refresh_token_once,
)
from tests.tenants import Tenant
from tokens.keys import key_ring

NONE = timedelta(0)
WRONG_CLOCKS = {
    "the giver's is ahead": (HOUR, NONE),
    "the giver's is behind": (-HOUR, NONE),
    "the ender's is ahead": (NONE, HOUR),
    "the ender's is behind": (NONE, -HOUR),
}


@pytest.fixture
def tenant(db: None) -> Iterator[Tenant]:
    key_ring.forget()
    yield Tenant("ours")
    key_ring.forget()


TOKEN, SECRET, SESSION = "has_token", "has_secret", "has_session"
AGENTS: dict[Callable[[AgentsRight], None], tuple[set[str], bool]] = {
    suspend_and_reactivate_agent: ({TOKEN}, True),
    suspend_and_reactivate_organization: ({TOKEN}, True),
    decommission: ({TOKEN, SECRET}, False),
    revoke_its_credential: ({TOKEN, SECRET}, False),
    revoke_its_token: ({TOKEN}, True),
    rotate_keys_in_an_emergency: ({TOKEN}, True),
    rotate_without_grace: ({SECRET}, False),
    rotate_with_a_grace_that_ends: ({SECRET}, False),
    rotate_and_end_the_grace: ({SECRET}, False),
}

PEOPLES: dict[Callable[[PersonsRight], None], tuple[set[str], bool]] = {
    suspend_and_reactivate_organization: ({TOKEN, SESSION}, True),
    rotate_keys_in_an_emergency: ({TOKEN, SESSION}, True),
    change_the_password: ({TOKEN, SESSION}, True),
    close_and_open_the_account: ({TOKEN, SESSION}, True),
    end_its_session: ({TOKEN, SESSION}, True),
    use_the_refresh_token_once: ({SESSION}, True),
}
"""What each ends, and whether another is given afterwards."""


@pytest.mark.parametrize("clocks", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
@pytest.mark.parametrize(
    ("kind", "end", "ended", "is_given_again"),
    [(AgentsRight, end, *what) for end, what in AGENTS.items()]
    + [(PersonsRight, end, *what) for end, what in PEOPLES.items()],
)
def test_an_end_is_one_at_once_whichever_process_has_a_wrong_clock(
    tenant: Tenant,
    clocks: tuple[timedelta, timedelta],
    kind: type[Any],
    end: Callable[[Any], None],
    ended: set[str],
    is_given_again: bool,
) -> None:
    giver, ender = clocks
    tenant.keep(lambda tenant: [tenant.agent, tenant.person("admin"), tenant.person("owner")])
    with clock(giver):
        right = kind(tenant)
    assert right.has_token()
    assert right.read  # a process with a clock behind refuses it
    with clock(ender):
        end(right)
    key_ring.forget()

    assert {name for name in ended if getattr(right, name)()} == set()
    if is_given_again:
        assert right.has_new_token()


@pytest.mark.parametrize("difference", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_link_lives_as_long_as_it_says(tenant: Tenant, difference: timedelta) -> None:
    user = tenant.person("viewer").user
    with clock(difference):
        link = make_link(user, AccountLink.Purpose.PASSWORD).rpartition("/")[2]
        assert find_link(link, AccountLink.Purpose.PASSWORD)
    assert find_link(link, AccountLink.Purpose.PASSWORD)

    AccountLink.objects.update(expires_at=F("expires_at") - LINK_LIFETIME)

    for each in (NONE, difference):
        with clock(each), pytest.raises(LinkNotFound):
            find_link(link, AccountLink.Purpose.PASSWORD)


@pytest.mark.parametrize("difference", [8 * 24 * HOUR, -8 * 24 * HOUR], ids=["ahead", "behind"])
def test_an_invitation_lives_as_long_as_it_says(tenant: Tenant, difference: timedelta) -> None:
    with clock(difference):
        invitation, _ = tenant.invite("new@example.com")
    with organization_scope(tenant.organization):
        invitations = type(invitation).objects.backed().filter(pk=invitation.pk)
        for each in (NONE, difference):
            with clock(each):
                assert invitations.get().is_usable()
                assert type(invitation).objects.get(pk=invitation.pk).is_usable()

        invitations.update(expires_at=F("expires_at") - INVITATION_LIFETIME)

        for each in (NONE, difference):
            with clock(each):
                assert invitations.get().status == "expired"
                assert type(invitation).objects.get(pk=invitation.pk).status == "expired"
