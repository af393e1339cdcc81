"""Whatever ends a token or session also ends the streams that it opened: tokens_ended_viewers
covers every way in which a request would be refused.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from organizations.models import Membership, Principal, User
from organizations.stream_access import Viewer
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import current_organization_id
from tests.audience import Audience, ended_viewers
from tests.endings import (
    of_a_changed_password,
    of_a_decommissioned_agent,
    of_a_deleted_organization,
    of_a_former_member,
    of_a_locked_account,
    of_a_revoked_credential,
    of_a_suspended_agent,
    of_a_suspended_organization,
    of_an_ended_session,
    of_an_expired_credential,
    revoked,
)
from tests.tenants import Tenant
from tokens.keys import key_ring, rotate_signing_key
from tokens.models import MAX_SESSION, LoginSession
from tokens.tests.factories import access_token_for

ENDS = [
    revoked,
    of_a_suspended_agent,
    of_a_decommissioned_agent,
    of_a_revoked_credential,
    of_an_expired_credential,
    of_a_suspended_organization,
    of_an_ended_session,
    of_a_locked_account,
    of_a_former_member,
    of_a_changed_password,
    of_a_deleted_organization,
]


def viewer_of_page(member: Membership, browser: Client) -> Viewer:
    browser.force_login(member.user)
    return Viewer(
        kind="page",
        organization=member.organization_id,
        principal=member.user_id,
        role=member.role,
        page_session=browser.session.session_key,
        valid_from=member.user.sessions_valid_from,
    )


@pytest.fixture
def audience(ours: Tenant) -> Audience:
    ours.entitled(ours.agent, "executions:read", "tokens:read")
    assert ours.token
    return Audience(ours)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_the_end_of_a_token_ends_its_viewers(
    end: Callable[[Tenant], str], ours: Tenant, audience: Audience
) -> None:
    neighbour = audience.viewer(access_token_for(ours.person("viewer")))
    with organization_scope(ours.organization):
        viewer = audience.viewer(end(ours))

    ended = ended_viewers([neighbour, viewer])

    is_whole_organization = end in {of_a_suspended_organization, of_a_deleted_organization}
    assert ended == ({neighbour, viewer} if is_whole_organization else {viewer})


def test_viewers_stay_while_nothing_happens(
    ours: Tenant, theirs: Tenant, audience: Audience
) -> None:
    theirs.entitled(theirs.agent, "executions:read")
    viewers = [
        audience.viewer(ours.token),
        audience.viewer(access_token_for(ours.person("viewer"))),
        viewer_of_page(ours.person("admin"), Client()),
        Audience(theirs).viewer(theirs.token),
    ]

    assert ended_viewers(viewers) == set()
    assert current_organization_id() is None


def test_another_organizations_credential_is_unknown_here(
    ours: Tenant, theirs: Tenant, audience: Audience
) -> None:
    theirs.entitled(theirs.agent, "executions:read")
    stranger = Audience(theirs).viewer(theirs.token)

    assert ended_viewers([replace(stranger, organization=ours.organization.pk)])


def test_a_scope_taken_from_an_agent_ends_its_viewers(ours: Tenant, audience: Audience) -> None:
    viewer = audience.viewer(ours.token)

    ours.entitled(ours.agent, "agents:read")

    assert ended_viewers([viewer]) == {viewer}


@pytest.mark.parametrize("kind", ["token", "page"])
def test_another_role_ends_a_persons_viewers(kind: str, ours: Tenant, audience: Audience) -> None:
    admin = ours.person("admin")
    token = access_token_for(admin)
    viewer = audience.viewer(token) if kind == "token" else viewer_of_page(admin, Client())

    Membership.objects.filter(pk=admin.pk).update(role="viewer")

    assert ended_viewers([viewer]) == {viewer}


def test_a_key_removed_in_an_emergency_ends_the_viewers_of_its_tokens_only(
    ours: Tenant, audience: Audience
) -> None:
    of_es256 = audience.viewer(ours.token)
    of_rs256 = replace(of_es256, kid=key_ring.signing_key("RS256").kid)
    rotate_signing_key("ES256")
    assert ended_viewers([of_es256, of_rs256]) == set()

    rotate_signing_key("ES256", is_emergency=True)

    assert ended_viewers([of_es256, of_rs256]) == {of_es256}


def test_a_login_session_that_is_too_old_ends_its_viewers(ours: Tenant, audience: Audience) -> None:
    person = ours.person("viewer")
    viewer = audience.viewer(access_token_for(person))
    young = timezone.now() - MAX_SESSION + timedelta(minutes=1)
    LoginSession.objects.filter(pk=viewer.session).update(created_at=young)
    assert ended_viewers([viewer]) == set()

    LoginSession.objects.filter(pk=viewer.session).update(created_at=young - timedelta(minutes=1))

    assert ended_viewers([viewer]) == {viewer}


def test_an_agents_streams_continue_when_it_becomes_an_administrator_and_end_when_it_no_longer_is(
    ours: Tenant, audience: Audience
) -> None:
    before = audience.viewer(ours.token)
    ours.entitled(ours.agent, "executions:read", "admin:orgs")
    after = replace(before, role="admin")
    assert ended_viewers([before, after]) == set()

    Principal.objects.filter(pk=ours.agent.pk).update(role="")

    assert ended_viewers([before, after]) == {after}


@pytest.mark.parametrize("end", ["log out", "new password", "expiry", "locked account"])
def test_the_end_of_a_page_session_ends_its_viewers(end: str, ours: Tenant) -> None:
    member, browser = ours.person("viewer"), Client()
    viewer = viewer_of_page(member, browser)
    assert ended_viewers([viewer]) == set()

    if end == "log out":
        browser.post("/logout")
    elif end == "new password":
        member.user.set_password("another sentence than before")
        member.user.save()
    elif end == "expiry":
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    else:
        User.objects.filter(pk=member.user_id).update(is_active=False)

    assert ended_viewers([viewer]) == {viewer}


def test_a_token_that_ends_by_itself_is_known_without_asking() -> None:
    past = Viewer("agent", uuid4(), uuid4(), expires_at=time.time() - 1)
    future = replace(past, expires_at=time.time() + 60)

    assert past.seconds_left <= 0
    assert 59 < future.seconds_left <= 60


def test_an_administrators_viewer_ends_with_its_scope_a_narrowed_one_does_not(
    ours: Tenant, audience: Audience
) -> None:
    agent = ours.entitled(ours.agent, "executions:read", "admin:orgs")
    narrowed = audience.viewer(access_token_for(agent, scopes="executions:read"))
    administering = replace(audience.viewer(access_token_for(agent)), role="admin")
    assert ended_viewers([narrowed, administering]) == set()

    agent.scopes = ["executions:read"]
    with organization_scope(ours.organization):
        agent.save(update_fields=["scopes"])

    assert ended_viewers([narrowed, administering]) == {administering}
