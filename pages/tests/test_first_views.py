"""The saved view with which a person's list opens."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from executions.tests.factories import FINISHED, make_execution
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.saved_views import menu_of, save, stored


@pytest.fixture
def browser(organization: Organization, signed_in: Callable[[Membership], Client]) -> Client:
    return signed_in(make_membership(organization, "operator"))


def test_a_list_opens_with_the_view_that_a_person_chose(
    browser: Client, colleague: Client, organization: Organization
) -> None:
    save(browser, who="everybody")
    [view] = stored(organization)
    shown = f"/executions?hours=168&status=error&view={view.pk}"

    chosen = browser.post(f"/views/{view.pk}/start", {"wanted": "yes"})
    browser.post(f"/views/{view.pk}/start", {"wanted": "yes"})

    assert chosen["Location"] == shown
    assert browser.get("/executions")["Location"] == shown
    assert "opens first" in menu_of(browser.get(shown))
    assert browser.get("/executions?status=finished").status_code == 200
    assert colleague.get("/executions").status_code == 200

    browser.post(f"/views/{view.pk}/start", {"wanted": "no"})

    assert browser.get("/executions").status_code == 200


def test_another_view_takes_the_place_of_the_one_that_opens_first(
    browser: Client, organization: Organization
) -> None:
    for name in ("First", "Second"):
        save(browser, name=name)
    first, second = stored(organization)

    for view in (first, second):
        browser.post(f"/views/{view.pk}/start", {"wanted": "yes"})
    browser.post(f"/views/{first.pk}/start", {"wanted": "no"})

    assert browser.get("/executions")["Location"].endswith(str(second.pk))


@pytest.mark.parametrize(
    ("key", "path", "query"),
    [
        ("executions", "/executions", "status=error"),
        ("errors", "/executions/errors", "name=crm-sync"),
        ("requests", "/tokens", "outcome=refused"),
        ("audit", "/audit", "outcome=failure"),
    ],
)
def test_the_last_filter_can_be_removed_where_a_view_opens_first(
    browser: Client, organization: Organization, key: str, path: str, query: str
) -> None:
    make_execution(organization, FINISHED)
    save(browser, list=key, query=query)
    [view] = stored(organization)
    browser.post(f"/views/{view.pk}/start", {"wanted": "yes"})

    for start in (path, f"{path}?{query}"):
        page = browser.get(start, follow=True).content.decode()
        [removal] = re.findall(r'</span><a href="([^"]+)"><svg[^>]*><use href="#icon-close"', page)
        cleared = browser.get(removal.replace("&amp;", "&"))

        assert cleared.status_code == 200
        assert cleared.context["views"].state == []


def test_a_view_that_is_no_longer_shared_opens_no_other_list(
    browser: Client, colleague: Client, organization: Organization
) -> None:
    save(browser, who="everybody")
    [view] = stored(organization)
    for each in (browser, colleague):
        each.post(f"/views/{view.pk}/start", {"wanted": "yes"})

    browser.post(f"/views/{view.pk}/edit", {"name": "Mine", "who": "me"})
    alone = [each.get("/executions").status_code for each in (browser, colleague)]
    browser.post(f"/views/{view.pk}/edit", {"name": "Ours again", "who": "everybody"})

    assert alone == [302, 200]
    assert colleague.get("/executions").status_code == 200
