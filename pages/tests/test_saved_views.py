"""Saved views of lists: saving, sharing, replacing and removing them."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from executions.tests.factories import FAILED, FINISHED, make_execution
from organizations.actions import remove_member, saved_views
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization, StartView
from organizations.models.saved_view import MAX_QUERY
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.saved_views.lists import LISTS, pairs_of, query_of
from pages.tests.saved_views import VIEW, menu_of, save, stored

SignedIn = Callable[[Membership], Client]


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def browser(operator: Membership, signed_in: SignedIn) -> Client:
    return signed_in(operator)


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        found = AuditEvent.objects.filter(action__startswith="view.").order_by("sequence")
        return list(found.values_list("action", flat=True))


def said(answer: Any) -> str:
    return " ".join(str(each) for each in get_messages(answer.wsgi_request))


# Saving


@pytest.mark.parametrize(
    ("key", "shown", "kept"),
    [
        (
            "executions",
            "/executions?hours=168&status=error&status=awaiting&sort=-cost&page=2&seen=1&x=1",
            {"hours": ["168"], "status": ["awaiting", "error"], "sort": ["-cost"]},
        ),
        (
            "executions",
            "/executions?not_name=crm-sync&search=42&tz=Asia/Tokyo&sort=nothing",
            {"not_name": ["crm-sync"], "search": ["42"], "tz": ["Asia/Tokyo"]},
        ),
        ("errors", "/executions/errors?group=v3:1&hours=1", {"group": ["v3:1"], "hours": ["1"]}),
        (
            "errors",
            "/executions/errors?not_state=resolved&state=nonsense&hours=1",
            {"not_state": ["resolved"], "hours": ["1"]},
        ),
        (
            "requests",
            "/tokens?days=30&reason=wrong_secret&not_address=192.0.2.1&each=1&finding=refused",
            {
                "days": ["30"],
                "reason": ["wrong_secret"],
                "not_address": ["192.0.2.1"],
                "each": ["1"],
            },
        ),
        (
            "audit",
            "/audit?action=agent&outcome=failure",
            {"action": ["agent"], "outcome": ["failure"]},
        ),
    ],
)
def test_the_form_above_a_list_saves_what_the_list_shows(
    browser: Client,
    organization: Organization,
    key: str,
    shown: str,
    kept: dict[str, list[str]],
) -> None:
    make_execution(organization, FINISHED)
    page = browser.get(shown)
    fields = dict(re.findall(r'type="hidden" name="(list|query)" value="([^"]*)"', dialog_of(page)))
    query = fields["query"].replace("&amp;", "&")

    answer = save(browser, list=fields["list"], query=query, name="Mine")
    opened = browser.get(answer["Location"])

    assert fields["list"] == key
    [view] = stored(organization)
    assert parse_qs(view.query) == kept
    assert opened.status_code == 200
    assert menu_of(opened).startswith("Mine All")
    assert "(changed)" not in menu_of(opened)


def dialog_of(page: Any) -> str:
    found = re.search(
        r'<dialog class="dialog" id="save-view".*?</dialog>', page.content.decode(), re.S
    )
    assert found
    return found[0]


def test_a_view_has_an_own_height_of_rows(browser: Client, organization: Organization) -> None:
    make_execution(organization, FINISHED)
    opened = browser.get(save(browser, density="compact")["Location"])

    assert '<html lang="en" data-density="compact">' in opened.content.decode()
    assert "data-density=" not in browser.get("/executions").content.decode()


def test_the_same_view_again_is_that_view(browser: Client, organization: Organization) -> None:
    first, second = save(browser), save(browser, query="hours=168&status=error")

    assert first["Location"] == second["Location"]
    assert len(stored(organization)) == 1


def test_another_view_under_a_known_name_is_refused(
    browser: Client, organization: Organization
) -> None:
    save(browser)

    answer = save(browser, name="FAILED THIS WEEK", query="status=finished")

    assert answer.status_code == 400
    assert "already has a view with this name" in answer.content.decode()
    assert [view.query for view in stored(organization)] == ["hours=168&status=error"]


@pytest.mark.parametrize(
    "changes",
    [
        {"query": "search=" + "x" * MAX_QUERY},
        {"query": "&".join(f"name={number}" for number in range(101))},
        {"query": "search=%00"},
        {"name": "x" * 61},
        {"name": ""},
        {"density": "huge"},
    ],
    ids=["long", "many", "control", "long name", "no name", "density"],
)
def test_what_a_view_cannot_keep_is_refused(
    browser: Client, organization: Organization, changes: dict[str, str]
) -> None:
    assert save(browser, **changes).status_code == 400
    assert stored(organization) == []


@pytest.mark.parametrize(("who", "limit"), [("me", "MAX_OWN"), ("everybody", "MAX_SHARED")])
def test_the_number_of_views_is_limited(
    browser: Client,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    limit: str,
) -> None:
    monkeypatch.setattr(saved_views, limit, 1)
    save(browser, who=who)

    answer = save(browser, who=who, name="Another")

    assert answer.status_code == 400
    assert "which is the most" in answer.content.decode()
    assert len(stored(organization)) == 1


def test_an_unknown_list_has_no_views(browser: Client, colleague: Client) -> None:
    assert browser.get("/views/new?list=agents").status_code == 404
    assert colleague.get("/views/new?list=audit").status_code == 403
    assert colleague.get("/views/new?list=executions&query=status%3Derror").status_code == 200


# Who sees and changes a view


def test_an_own_view_is_unknown_to_colleagues(
    browser: Client, colleague: Client, organization: Organization
) -> None:
    save(browser)
    [view] = stored(organization)

    for path in ("", "/edit", "/remove"):
        assert colleague.get(f"/views/{view.pk}{path}").status_code == 404
    assert colleague.post(f"/views/{view.pk}/start", {"wanted": "yes"}).status_code == 404
    assert view.name not in menu_of(colleague.get(f"/executions?view={view.pk}"))


def test_a_shared_view_opens_by_its_link_and_only_operators_change_it(
    browser: Client, colleague: Client, organization: Organization
) -> None:
    save(browser, who="everybody")
    [view] = stored(organization)

    opened = colleague.get(f"/views/{view.pk}", follow=True)

    assert urlsplit(opened.redirect_chain[0][0]).path == "/executions"
    assert menu_of(opened).startswith("Failed this week All runs Shared Failed this week")
    assert "Rename" not in menu_of(opened)
    for path in ("/edit", "/remove"):
        assert colleague.post(f"/views/{view.pk}{path}", VIEW).status_code == 403
    assert stored(organization) == [view]


def test_a_viewer_cannot_share(colleague: Client, organization: Organization) -> None:
    save(colleague, who="everybody")

    [view] = stored(organization)
    assert not view.is_shared
    assert "Everybody" not in colleague.get(f"/views/{view.pk}/edit").content.decode()


def test_a_shared_view_of_a_closed_list_is_unknown(
    browser: Client, colleague: Client, organization: Organization
) -> None:
    save(browser, list="audit", query="action=agent", who="everybody")
    [view] = stored(organization)

    assert colleague.get(f"/views/{view.pk}").status_code == 404
    assert view.name not in colleague.get("/jump?q=failed").content.decode()


def test_changes_of_shared_views_are_recorded_and_those_of_own_views_are_not(
    browser: Client, organization: Organization
) -> None:
    save(browser)
    [view] = stored(organization)
    edit = f"/views/{view.pk}/edit"
    browser.post(edit, {"name": "Broken", "who": "me"})
    assert actions_in(organization) == []

    browser.post(edit, {"name": "Broken", "who": "everybody"})
    browser.post(edit, {"name": "Broken", "who": "everybody"})
    browser.post(edit, {"name": "Failed", "who": "everybody"})
    browser.post(edit, {"name": "Failed", "who": "me"})
    browser.post(edit, {"name": "Failed", "who": "everybody"})
    browser.post(f"/views/{view.pk}/remove")

    names = ["shared", "updated", "unshared", "shared", "deleted"]
    assert actions_in(organization) == [f"view.{name}" for name in names]
    with organization_scope(organization):
        changed = AuditEvent.objects.get(action="view.updated")
    assert changed.target_label == "Failed"
    assert changed.metadata["before"] == {"name": "Broken"}
    assert changed.metadata["after"] == {"name": "Failed"}


def test_who_leaves_takes_own_views_along(
    browser: Client, operator: Membership, organization: Organization
) -> None:
    make_membership(organization, "owner")
    save(browser)
    save(browser, name="For all", who="everybody")
    for view in stored(organization):
        browser.post(f"/views/{view.pk}/start", {"wanted": "yes"})

    with organization_scope(organization):
        remove_member(operator, actor=Actor.for_system(organization, "test"))

        assert not StartView.objects.exists()
    assert [view.name for view in stored(organization)] == ["For all"]


# Replacing and removing


def test_a_changed_view_is_replaced(browser: Client, organization: Organization) -> None:
    make_execution(organization, FAILED)
    save(browser, who="everybody")
    [view] = stored(organization)

    page = browser.get(f"/executions?status=error&view={view.pk}")
    fields = {"replaces": str(view.pk), "who": "everybody", "query": "status=error"}
    answer = save(browser, **fields)

    assert "Failed this week (changed)" in menu_of(page)
    assert re.search(rf'<input[^>]* value="{view.pk}"[^>]* checked', dialog_of(page))
    assert said(answer).startswith("Failed this week is saved. Everybody")
    assert [each.query for each in stored(organization)] == ["status=error"]
    assert "(changed)" not in menu_of(browser.get(answer["Location"]))


def test_a_replaced_view_may_also_be_saved_as_a_new_one(
    browser: Client, organization: Organization
) -> None:
    save(browser)

    save(browser, replaces="new", name="Failed today", query="status=error")

    assert [each.name for each in stored(organization)] == ["Failed this week", "Failed today"]


def test_a_view_that_was_removed_meanwhile_is_unknown(
    browser: Client, organization: Organization
) -> None:
    save(browser)
    [view] = stored(organization)

    removed = browser.post(f"/views/{view.pk}/remove")

    assert removed["Location"] == "/executions?view=all"
    assert stored(organization) == []
    for path in ("/remove", "/edit", "/start"):
        assert browser.post(f"/views/{view.pk}{path}", VIEW).status_code == 404
    assert browser.get(f"/executions?view={view.pk}").status_code == 200


# Filters that are gone


def test_a_filter_that_the_list_no_longer_knows_is_named(
    browser: Client, organization: Organization
) -> None:
    make_execution(organization, FAILED)
    save(browser, query="status=error&status=paused&not_model=gpt-4")
    [view] = stored(organization)

    page = browser.get(f"/views/{view.pk}", follow=True)

    text = " ".join(re.sub("<[^>]+>", "", page.content.decode()).split())
    assert "Failed this week also asks for model is not gpt-4, status is paused, which" in text
    assert "(changed)" not in menu_of(page)
    assert "also asks for" not in browser.get("/executions?status=error").content.decode()


WORDS = st.text(st.characters(exclude_categories=["C"]), max_size=8).filter(str.isprintable)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["status", "name", "sort", "tz", "page", "view"]), WORDS), max_size=9
)


@given(PAIRS)
def test_a_kept_query_is_kept_as_it_is(pairs: list[tuple[str, str]]) -> None:
    query = query_of(pairs)

    assert query_of(pairs_of(query)) == query
    assert query.isascii()
    assert not {name for name, _ in pairs_of(query)} & {"page", "view"}


@pytest.mark.parametrize("key", LISTS)
def test_a_list_understands_again_what_it_understood(
    browser: Client, organization: Organization, key: str
) -> None:
    """Otherwise a view would look changed at once."""
    make_execution(organization, FAILED)
    page = LISTS[key].url(
        "days=7&hours=6&status=error&status=odd&not_status=finished&name=a%20b&reason=wrong_secret"
        "&not_reason=wrong_secret,odd&from=2026-11-01T00:00:00Z&to=2026-11-02&outcome=refused&dow=2"
        "&hour=09&agent=crm-sync&address=::ffff:192.0.2.1&credential=odd&action=agent&tag=x&user=-"
        "&group=%20v3&each=&tz=Asia/Tokyo&search=%20a%20&sort=-cost",
        "all",
    )
    menu = browser.get(page).context["views"]
    assert menu.query

    again = browser.get(LISTS[key].url(menu.query, "all")).context["views"]

    assert again.query == menu.query


# The palette


def test_the_palette_finds_a_view(browser: Client, organization: Organization) -> None:
    save(browser)
    [view] = stored(organization)

    rows = browser.get("/jump?q=fail+wee").content.decode()

    assert f'href="/views/{view.pk}"' in rows
    assert "View of runs" in rows
