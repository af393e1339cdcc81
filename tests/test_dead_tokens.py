"""A token that has ended is refused immediately by every endpoint."""

from collections.abc import Callable
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.utils import timezone

from organizations.actors import Scope
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tests.calls import call
from tests.endings import (
    claims_of,
    of_a_changed_password,
    of_a_decommissioned_agent,
    of_a_deleted_organization,
    of_a_former_member,
    of_a_locked_account,
    of_a_revoked_credential,
    of_a_session_too_old,
    of_a_suspended_agent,
    of_a_suspended_organization,
    of_an_ended_session,
    of_an_expired_credential,
    revoked,
)
from tests.endpoint import Endpoint
from tests.endpoints import BEARER, PAGES
from tests.tenants import Tenant
from tokens.access_tokens import PersonRefresh, new_token_id, sign_agent_token
from tokens.models import LoginSession

OF_THE_PERSON = {
    "/email",
    "/email/confirm/{token}",
    "/logout",
    "/organization",
    "/organizations",
    "/password",
}
"""Pages that a person may still open without any organization."""


# Ways to end an agent's token. Each takes the tenant and returns the token to present.


def garbage(tenant: Tenant) -> str:
    return "not.a.token"


def of_another_key(tenant: Tenant) -> str:
    header = jwt.get_unverified_header(tenant.token)
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims_of(tenant.token), key, "ES256", headers=header)


def expired(tenant: Tenant) -> str:
    return sign_agent_token(
        agent_id=tenant.agent.pk,
        organization_id=tenant.organization.pk,
        credential_id=tenant.credential.pk,
        scope=" ".join(tenant.agent.scopes),
        token_id=new_token_id(),
        generation=0,
        issued_at=int((timezone.now() - timedelta(days=1)).timestamp()),
        algorithm="ES256",
    )


def for_a_resource(tenant: Tenant) -> str:
    """A valid token of an agent with all scopes, but for another audience."""
    tenant.keep(lambda tenant: tenant.grant)
    return sign_agent_token(
        agent_id=tenant.agent.pk,
        organization_id=tenant.organization.pk,
        credential_id=tenant.credential.pk,
        scope=" ".join(Scope.values),
        token_id=new_token_id(),
        generation=0,
        issued_at=int(timezone.now().timestamp()),
        algorithm="ES256",
        resource=tenant.resource.identifier,
    )


# Ways to end a person's token.


def refresh_token(tenant: Tenant) -> str:
    owner = tenant.person("owner")
    session = LoginSession.objects.create(user=owner.user)
    return str(PersonRefresh.for_session(owner, session.pk))


ENDS = [
    garbage,
    of_another_key,
    expired,
    for_a_resource,
    revoked,
    of_a_suspended_agent,
    of_a_decommissioned_agent,
    of_a_revoked_credential,
    of_an_expired_credential,
    of_a_suspended_organization,
    of_an_ended_session,
    of_a_session_too_old,
    refresh_token,
    of_a_locked_account,
    of_a_former_member,
    of_a_changed_password,
    of_a_deleted_organization,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_an_ended_token_opens_nothing(end: Callable[[Tenant], str], ours: Tenant) -> None:
    prepare(ours)
    with organization_scope(ours.organization):
        token = end(ours)
    bearer = Client(headers={"Authorization": f"Bearer {token}"})
    before = ours.rows()

    answers = {str(each): refusal(bearer, each, ours) for each in BEARER}

    assert answers == dict.fromkeys(map(str, BEARER), (401, 'Bearer error="invalid_token"'))
    assert ours.rows() == before


def prepare(tenant: Tenant) -> None:
    """Create everything that the calls refer to while the organization is still active."""
    tenant.entitled(tenant.agent, "tokens:read")
    assert tenant.token
    for each in BEARER:
        tenant.keep(each.ids, each.body)


def refusal(bearer: Client, endpoint: Endpoint, tenant: Tenant) -> tuple[int, str]:
    answer = call(
        bearer,
        endpoint,
        tenant,
        ids=tenant.kept(endpoint.ids),
        body=tenant.kept(endpoint.body),
    )
    return answer.status_code, answer.headers.get("WWW-Authenticate", "").partition(",")[0]


@pytest.mark.parametrize("end", ["locked account", "former member", "suspended organization"])
def test_a_page_closes_at_once(end: str, ours: Tenant) -> None:
    admin = ours.person("admin")
    browser = Client()
    browser.force_login(admin.user)
    pages = [each for each in PAGES if each.path not in OF_THE_PERSON]
    for each in pages:
        ours.keep(each.ids, each.body)
    if end == "locked account":
        admin.user.is_active = False
        admin.user.save()
    elif end == "former member":
        admin.delete()
    else:
        Organization.objects.filter(pk=ours.organization.pk).update(status="suspended")
    before = ours.rows()

    places = {
        call(browser, each, ours, ids=ours.kept(each.ids), body=ours.kept(each.body))["Location"]
        for each in pages
    }

    assert {place.partition("?")[0] for place in places} <= {"/login", "/organizations"}
    assert ours.rows() == before
