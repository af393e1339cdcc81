"""Access to every page and form. test_pages.py covers how pages look and read."""

import re
from typing import Any

import pytest
from django.test import Client

from tests.calls import assert_shows_nothing_of, browser_of, call
from tests.endpoint import Endpoint
from tests.endpoints import PAGES
from tests.tenants import Tenant, unknown_id

ROLES = ["viewer", "operator", "admin", "owner"]
CSRF_FIELD = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_least_role_suffices_and_every_lesser_one_is_refused(
    page: Endpoint, ours: Tenant
) -> None:
    least = ROLES.index(page.role)

    answers = {role: call(browser_of(ours, role), page, ours) for role in ROLES[: least + 1]}

    allowed = answers.pop(page.role)
    assert allowed.status_code == page.status, allowed.content
    assert {answer.status_code for answer in answers.values()} <= {403}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_strangers_are_sent_to_the_sign_in(page: Endpoint, ours: Tenant) -> None:
    ids, body = page.ids(ours), page.body and page.body(ours)
    before = ours.rows()

    response = call(Client(), page, ours, ids=ids, body=body)

    assert response.status_code == 302
    assert response["Location"].startswith("/login?next=/")
    assert ours.rows() == before


@pytest.mark.parametrize(
    "page", [each for each in PAGES if re.search("(_id|fid)}", each.path)], ids=str
)
def test_another_organizations_page_is_as_unknown_as_no_page(
    page: Endpoint, ours: Tenant, theirs: Tenant
) -> None:
    browser = browser_of(ours, "owner")
    own, their = page.ids(ours), page.ids(theirs)
    before = theirs.rows()

    for name in own:
        foreign = call(browser, page, ours, ids=own | {name: their[name]})
        nothing = call(browser, page, ours, ids=own | {name: unknown_id(their[name])})

        assert foreign.status_code == nothing.status_code == 404
        assert CSRF_FIELD.sub(b"", foreign.content) == CSRF_FIELD.sub(b"", nothing.content)
        assert_shows_nothing_of(theirs, foreign)
    assert theirs.rows() == before


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "POST"], ids=str)
def test_a_form_of_another_site_changes_nothing(page: Endpoint, ours: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ours.person("owner").user)
    ids, body = page.ids(ours), page.body and page.body(ours)
    before = ours.rows()

    response = call(browser, page, ours, ids=ids, body=body)

    assert response.status_code == 403
    assert ours.rows() == before


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "GET"], ids=str)
def test_a_page_shows_nothing_of_another_organization(
    page: Endpoint, ours: Tenant, theirs: Tenant
) -> None:
    browser = browser_of(ours, "owner")
    ids = page.ids(ours)
    theirs.fill()

    response: Any = call(browser, page, ours, ids=ids)

    assert response.status_code == page.status
    assert_shows_nothing_of(theirs, response)
