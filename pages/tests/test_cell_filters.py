"""Values in the cells of the list of runs, which filter it."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import FAILED, make_execution, make_outside_user, tagged
from organizations.models import Organization
from organizations.tests.factories import make_membership


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, "operator"))


def cells(browser: Any, query: str = "") -> dict[str, tuple[str, str]]:
    """The links of the values in the first row: with the value, and without it."""
    page = browser.get(f"/executions{query}").content.decode()
    row = page[page.index("<tbody>") : page.index("</tr>", page.index("<tbody>"))]
    links = re.findall(
        r'<a class="cell-value.*?" href="(.*?)" data-not="(.*?)">(.*?)</a>', row, re.DOTALL
    )
    return {
        re.sub("<.*?>", "", word): (unescape(url), unescape(not_url))
        for url, not_url, word in links
    }


def test_each_value_of_a_row_leads_to_the_rows_with_it_and_to_those_without(
    organization: Organization, browser: Any
) -> None:
    ada = make_outside_user(organization, "Ada & Co", uuid4())
    started = now() - 60
    told = tagged("meta", started, summary="Weekly report", tags=["a, b", "q3"])
    more = NewEvent(started, "stdout", "…")
    make_execution(
        organization, start=started, agent_name="Hymn & Co", user=ada, events=[told, more]
    )
    make_execution(organization, FAILED, start=started - 60, agent_name="Other")

    found = cells(browser)

    assert found == {
        "finished": ("?status=finished", "?not_status=finished"),
        "Hymn &amp; Co": ("?name=Hymn+%26+Co", "?not_name=Hymn+%26+Co"),
        "Ada &amp; Co": (f"?user={ada.external_id}", f"?not_user={ada.external_id}"),
        "a, b": ("?tag=a%2C+b", "?not_tag=a%2C+b"),
        "q3": ("?tag=q3", "?not_tag=q3"),
    }
    for with_value, without in found.values():
        rows = {
            url: [
                row["execution"].agent_name
                for row in browser.get(f"/executions{url}").context["rows"]
            ]
            for url in (with_value, without)
        }
        assert rows == {with_value: ["Hymn & Co"], without: ["Other"]}


def test_a_value_narrows_the_query_and_leaves_its_other_filters(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization, agent_name="Hymn")

    found = cells(browser, "?hours=6&status=finished&status=error&not_name=Other&sort=agent&page=1")

    kept = "?status=finished&status=error&hours=6"
    rest = "not_name=Other&sort=agent"
    assert sorted(found["finished"][0][1:].split("&")) == sorted(
        ["hours=6", "status=finished", *rest.split("&")]
    )
    assert sorted(found["finished"][1][1:].split("&")) == sorted(
        ["hours=6", "status=error", "not_status=finished", *rest.split("&")]
    )
    assert sorted(found["Hymn"][1][1:].split("&")) == sorted(
        [*kept[1:].split("&"), "not_name=Other", "not_name=Hymn", "sort=agent"]
    )


def test_a_page_has_no_more_links_than_it_has_room_for(
    organization: Organization, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 64 such signs takes twelve characters in a URL."""
    monkeypatch.setattr("pages.executions.cell_filters.MAX_LENGTH_TOGETHER", 4_000)
    started = now() - 60
    tags = [f"{number}{chr(0x1F600) * 60}" for number in range(10)]
    told = tagged("meta", started, tags=tags)
    make_execution(organization, start=started, agent_name="Hymn", events=[told])

    found = cells(browser)

    assert set(found) == {"finished", "Hymn", "nobody", *tags[:3]}
    assert tags[9] in browser.get("/executions").content.decode()


def test_nobody_is_a_value_too_and_one_that_cannot_be_filtered_is_plain(
    organization: Organization, browser: Any
) -> None:
    started = now() - 60
    told = tagged("meta", started, summary="Weekly report", tags=["\u202ehidden"])
    make_execution(organization, start=started, events=[told, NewEvent(started, "stdout", "…")])

    found = cells(browser)

    assert found["nobody"] == ("?user=unknown", "?not_user=unknown")
    assert "\u202ehidden" not in found


def test_links_do_not_repeat_a_very_long_query(organization: Organization, browser: Any) -> None:
    make_execution(organization, agent_name="Hymn")
    long = urlencode({"not_tag": [f"{n}{'x' * 100}" for n in range(20)]}, doseq=True)

    assert "Hymn" in cells(browser, "?not_tag=x")
    assert list(cells(browser, f"?{long}")) == ["finished"]
    assert "Hymn" in browser.get(f"/executions?{long}").content.decode()
