"""The page of errors shows groups with their states, and an operator says what is resolved."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from executions.event_log import NewEvent
from executions.models import ErrorResolution, ExecutionError, now
from executions.tests.factories import FAILED, make_execution, make_user_of, tagged
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

Role = Membership.Role
PAGE = "/executions/errors"


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization, Role.OPERATOR))
    return found


def fail(organization: Organization, message: str = "disk is full", **fields: Any) -> Any:
    return make_execution(
        organization, FAILED, events=[NewEvent(now(), "error", message)], **fields
    )


def group_of(organization: Organization, message: str = "disk is full") -> str:
    with organization_scope(organization):
        return ExecutionError.objects.filter(message=message)[0].fingerprint


def main_of(response: Any) -> str:
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)
    assert response.status_code == 200
    assert main
    return unescape(main[0])


def shown(browser: Client, query: str = "") -> dict[str, str]:
    groups = browser.get(f"{PAGE}{query}").context.get("groups", [])
    return {row["group"].message: str(row["group"].state.state) for row in groups}


def test_a_group_is_resolved_and_reopened_without_a_question(
    organization: Organization, browser: Client
) -> None:
    fail(organization)
    group = group_of(organization)
    page = f"{PAGE}?hours=168&group={group.replace(':', '%3A')}"
    assert shown(browser) == {"disk is full": "new"}
    before = browser.get(page)
    (address,) = re.findall(r'action="(/executions/errors/[^"]*)"', before.content.decode())

    resolved = browser.post(unescape(address), {"note": "A bigger disk"}, follow=True)

    assert resolved.redirect_chain == [(page, 302)]
    main = main_of(resolved)
    assert "<q>A bigger disk</q>" in main
    assert ">Resolve</button>" not in main
    assert shown(browser) == {"disk is full": "resolved"}
    reopen = address.replace("/resolve", "/reopen")
    assert f'action="{reopen}"' in resolved.content.decode()
    assert "A bigger disk" not in main_of(browser.post(unescape(reopen), follow=True))
    assert shown(browser) == {"disk is full": "new"}


def test_a_regressed_group_says_since_when_and_is_resolved_again(
    organization: Organization, browser: Client
) -> None:
    fail(organization)
    group = group_of(organization)
    browser.post(f"{PAGE}/{group}/resolve", {"note": "A bigger disk"})
    fail(organization)

    main = main_of(browser.get(f"{PAGE}?group={group}"))

    assert "and received again since" in main
    assert ">Resolve again</button>" in main
    assert ">Drop the resolution</button>" in main  # it is open already
    assert ">Reopen</button>" not in main
    assert shown(browser, "?state=regressed") == {"disk is full": "regressed"}


def test_the_page_of_a_group_is_about_the_group(
    organization: Organization, browser: Client
) -> None:
    fail(organization)

    everything, one = browser.get(PAGE), browser.get(f"{PAGE}?group={group_of(organization)}")

    assert "Error rate" in main_of(everything)
    assert "Error rate" not in main_of(one)
    assert "<title>disk is full" in one.content.decode()


def test_the_list_is_filtered_by_states_and_the_other_tabs_are_not(
    organization: Organization, browser: Client
) -> None:
    fail(organization)
    fail(organization, "quota exceeded")
    browser.post(f"{PAGE}/{group_of(organization)}/resolve")

    assert set(shown(browser, "?state=resolved&state=regressed")) == {"disk is full"}
    assert set(shown(browser, "?not_state=resolved")) == {"quota exceeded"}
    assert len(shown(browser, "?state=nonsense")) == 2
    response = browser.get(f"{PAGE}?not_state=resolved&not_state=new")
    assert response.context["empty_state"]["title"] == "No errors in these states"
    assert browser.get(response.context["empty_state"]["links"][0]["url"]).context["groups"]
    words = " ".join(re.sub("<[^>]*>", " ", main_of(response)).split())
    assert "state is not resolved or new" in words
    assert all(
        "state" not in tab["url"]
        for tab in response.context["tabs"]
        if not tab["url"].startswith(PAGE)
    )


def test_single_errors_are_listed_only_within_their_group(
    organization: Organization, browser: Client
) -> None:
    for message in ("disk is full", "disk is full", "quota exceeded"):
        fail(organization, message)

    groups = main_of(browser.get(PAGE))
    chosen = main_of(browser.get(f"{PAGE}?group={group_of(organization)}"))

    assert groups.count("quota exceeded") == 2  # its text, and its title
    assert "error-card" not in groups
    assert chosen.count('<article class="error-card"') == 2
    assert "quota exceeded" not in chosen


def test_a_group_names_the_version_of_its_first_run_if_that_was_reported(
    organization: Organization, browser: Client
) -> None:
    for version, ago in (("1.5.0", 10), ("1.4.0", 90)):
        told = [
            tagged("meta", now() - ago, version=version),
            NewEvent(now() - ago, "error", "disk is full"),
        ]
        make_execution(organization, FAILED, start=now() - ago, events=told)
    fail(organization, "quota exceeded")

    of_disk = main_of(browser.get(f"{PAGE}?group={group_of(organization)}"))
    of_quota = main_of(browser.get(f"{PAGE}?group={group_of(organization, 'quota exceeded')}"))

    assert "in version 1.4.0" in of_disk
    assert "1.5.0" not in of_disk
    assert "in version" not in of_quota


def test_groups_come_in_pages(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.executions.errors.GROUPS_A_PAGE", 2)
    for word in ("one", "two", "three"):
        fail(organization, f"{word} is full")

    first = browser.get(PAGE)
    following = re.search(r'rel="next" href="([^"]*)"', first.content.decode())

    assert following
    assert list(shown(browser)) == ["three is full", "two is full"]
    fail(organization, "one is full")  # moves its group to the front, past whoever pages
    assert list(shown(browser, unescape(following[1]))) == ["one is full"]


def test_a_viewer_reads_the_state_and_neither_the_note_nor_a_button(
    organization: Organization, browser: Client, signed_in: Any
) -> None:
    viewer = make_membership(organization, Role.VIEWER)
    fail(organization, user=make_user_of(viewer))
    group = group_of(organization)
    browser.post(f"{PAGE}/{group}/resolve", {"note": "A bigger disk"})
    theirs = signed_in(viewer)

    main = main_of(theirs.get(f"{PAGE}?group={group}"))

    assert "resolved" in main
    assert "bigger disk" not in main
    assert "<form" not in main[main.index("error-group") :]
    assert theirs.post(f"{PAGE}/{group}/reopen").status_code == 403


def test_a_note_that_cannot_be_kept_is_refused_with_its_reason(
    organization: Organization, browser: Client
) -> None:
    fail(organization)
    url = f"{PAGE}/{group_of(organization)}/resolve"

    for note in ("x" * 501, "two\nlines\x07"):
        response = browser.post(url, {"note": note}, follow=True)
        assert "Not resolved. What fixed it:" in main_of(response)

    with organization_scope(organization):
        assert not ErrorResolution.objects.exists()


def test_a_failed_run_shows_the_state_of_its_group(
    organization: Organization, browser: Client
) -> None:
    runs = [fail(organization), fail(organization)]
    browser.post(f"{PAGE}/{group_of(organization)}/resolve")

    main = main_of(browser.get(f"/executions/{runs[0].fid}"))

    band = main[main.index("band-alike") :][:2000]
    assert "Same error in 1 other run" in band
    assert "resolved" in band
    assert "/executions/errors?group=v6%3A" in band
