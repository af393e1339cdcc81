from typing import Any

import pytest

from agents.tests.factories import make_agent
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

FORM = {
    "name": "Northwind",
    "slug": "northwind-2",
    "time_zone": "Europe/Berlin",
    "signing_algorithm": "RS256",
}


def test_settings_are_saved_and_used_by_the_pages(
    organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))

    browser.post("/settings", FORM)

    organization.refresh_from_db()
    assert organization.signing_algorithm == "RS256"
    assert "Times are Europe/Berlin" in browser.get("/tokens").content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("slug", "No Spaces"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("signing_algorithm", "none"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_saved(
    organization: Organization, signed_in: Any, field: str, value: str
) -> None:
    browser = signed_in(make_membership(organization))

    response = browser.post("/settings", FORM | {field: value})

    assert response.status_code == 400
    assert list(response.context["form"].errors) == [field]
    before = organization.name
    organization.refresh_from_db()
    assert organization.name == before


def test_an_organization_ends_only_after_its_name_was_typed(
    organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))

    browser.post("/settings/delete", {"name": "something else"})
    organization.refresh_from_db()
    assert organization.is_active
    browser.post("/settings/delete", {"name": organization.name})

    organization.refresh_from_db()
    assert organization.status == Organization.Status.DELETED


def test_an_organization_with_active_agents_does_not_end(
    organization: Organization, signed_in: Any
) -> None:
    make_agent(organization)
    browser = signed_in(make_membership(organization))

    page = browser.post("/settings/delete", {"name": organization.name}, follow=True)

    organization.refresh_from_db()
    assert organization.is_active
    assert "has active agents" in page.content.decode()


def test_an_admin_does_not_end_the_organization(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization, Membership.Role.ADMIN))

    assert "Delete this organization" not in browser.get("/settings").content.decode()
    response = browser.post("/settings/delete", {"name": organization.name})

    assert response.status_code == 403
    organization.refresh_from_db()
    assert organization.is_active
