"""Writes ignore or refuse fields that they do not offer: organization, status, role, secrets,
times.
"""

import re
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from core.errors import MAX_PROBLEMS
from organizations.models import User
from tests.calls import bearer_of, call
from tests.endpoint import Endpoint
from tests.endpoints import ENDPOINTS, PAGES
from tests.routes import body_fields
from tests.tenants import Tenant

OWN_APPS = {"organizations", "agents", "tokens", "executions", "analytics"}
JSON_WRITES = [each for each in ENDPOINTS if each.body and not each.is_form]
FORMS = [each for each in PAGES if each.method == "POST"]


def camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def every_field() -> set[str]:
    """The columns of all our models, in both spellings, and a few more names."""
    fields = {"organization_id", "agent_id", "user_id", "is_superuser", "usage", "client_secret"}
    for model in apps.get_models():
        if model._meta.app_label in OWN_APPS:
            fields |= {field.name for field in model._meta.get_fields()}
    return {spelling for name in fields for spelling in (name, camel_case(name))}


def values_for(theirs: Tenant) -> dict[str, str]:
    """A hostile value for every field."""
    values = dict.fromkeys(every_field(), "mallory")
    values |= {"status": "suspended", "role": "owner", "is_staff": "true", "is_superuser": "true"}
    for name in ("organization", "organization_id", "organizationId"):
        values[name] = str(theirs.organization.pk)
    return values


@pytest.mark.parametrize("endpoint", JSON_WRITES, ids=str)
def test_a_field_that_is_not_offered_is_refused_by_name(
    endpoint: Endpoint, ours: Tenant, theirs: Tenant
) -> None:
    ids, body = endpoint.ids(ours), endpoint.body and endpoint.body(ours)
    assert body is not None
    hidden = {
        name: value
        for name, value in values_for(theirs).items()
        if name not in body_fields(endpoint)
    }
    client = bearer_of(endpoint, ours)
    before, their_before = ours.rows(), theirs.rows()

    names = sorted(hidden)
    named: set[str] = set()
    for start in range(0, len(names), MAX_PROBLEMS):  # the maximum that one response names
        some = {name: hidden[name] for name in names[start : start + MAX_PROBLEMS]}
        response = call(client, endpoint, ours, ids=ids, body=body | some)
        assert response.status_code == 400
        named |= response.json()["details"].keys()

    assert hidden.keys() - named == set()
    assert ours.rows() == before
    assert theirs.rows() == their_before


@pytest.mark.parametrize("page", FORMS, ids=str)
def test_a_form_takes_its_own_fields_only(page: Endpoint, ours: Tenant, theirs: Tenant) -> None:
    browser = Client()
    browser.force_login(ours.person("admin").user)
    ids, body = page.ids(ours), page.body(ours) if page.body else {}
    staff = User.objects.filter(is_staff=True).count()
    their_before = theirs.rows()

    response: Any = call(browser, page, ours, ids=ids, body=values_for(theirs) | body)

    assert response.status_code < 500
    assert "mallory" not in str({**ours.rows(), "organizations_auditevent": []})
    assert roles(ours) <= {"owner", "admin", "operator", "viewer"}
    assert not theirs.organization.memberships.filter(user=ours.person("admin").user).exists()
    assert User.objects.filter(is_staff=True).count() == staff
    assert theirs.rows() == their_before


def roles(tenant: Tenant) -> set[str]:
    return set(tenant.organization.memberships.values_list("role", flat=True))
