"""Filters of the list of runs: several values, excluded ones, and the sentence that says so."""

import re
from html import unescape
from typing import Any
from uuid import uuid4

import pytest

from agents.tests.factories import make_agent
from executions.filters import MAX_VALUES
from executions.models import Execution
from executions.tests.factories import FAILED, make_execution, make_outside_user
from organizations.models import Organization
from organizations.tests.factories import make_membership
from pages.executions import run_filters


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization, "operator"))


def sentences(page: str) -> list[str]:
    chips = re.findall(r'<span class="chip"><span>(.*?)</span>', page, re.DOTALL)
    return [unescape(re.sub("<.*?>", "", chip)).strip() for chip in chips]


def link(page: str, text: str) -> str:
    """The address of the link with this text."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{text}</a>', page)
    assert found, text
    return unescape(found[1])


def test_the_filters_read_as_a_sentence(organization: Organization, browser: Any) -> None:
    ada = make_outside_user(organization, "Ada", uuid4())
    agent = make_agent(organization)
    make_execution(organization, FAILED, agent_name="Hymn", user=ada)

    page = browser.get(
        "/executions?status=error&status=awaiting&not_name=crm-sync&not_name=a,b&not_name=c"
        f"&user={ada.external_id}&user=unknown&not_agent={agent.pk}&not_tag=trial"
    ).content.decode()

    assert sentences(page) == [
        "status is error or awaiting",
        "agent is not crm-sync, a,b or c",
        "user is Ada or nobody",
        "tag is not trial",
        f"agent is not {agent.name}",
    ]


def test_is_and_is_not_change_into_each_other(browser: Any, organization: Organization) -> None:
    make_execution(organization, FAILED)
    make_execution(organization)
    page = browser.get("/executions?status=error&sort=agent").content.decode()

    excluded = link(page, "is")
    page = browser.get(excluded).content.decode()
    wanted = link(page, "is not")

    assert excluded == "/executions?not_status=error&sort=agent"
    assert sentences(page) == ["status is not error"]
    assert wanted == "/executions?status=error&sort=agent"


def test_forms_and_links_keep_all_values(browser: Any, organization: Organization) -> None:
    make_execution(organization, FAILED)

    response = browser.get("/executions?status=error&status=running&not_name=Hymn")

    page = response.content.decode()
    search = page[page.index('role="search"') :]
    for name, value in (("status", "error"), ("status", "running"), ("not_name", "Hymn")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in search
    assert response.context["csv_url"] == (
        "/executions/export?status=error&status=running&not_name=Hymn"
    )
    removed = {each["name"]: each["remove_url"] for each in response.context["filters"].chips}
    assert removed["not_name"] == "/executions?status=error&status=running"
    (week,) = (each for each in response.context["query"].ranges if each["label"] == "Last 7 days")
    assert week["url"] == "/executions?status=error&status=running&not_name=Hymn&hours=168"


def test_the_menu_keeps_all_values_of_what_it_does_not_offer(
    browser: Any, organization: Organization
) -> None:
    make_execution(organization)
    keys = [str(make_agent(organization).pk) for _ in range(2)]

    response = browser.get(f"/executions?agent={keys[0]}&agent={keys[1]}&status=error&page=2")

    assert response.context["filters"].kept == [("agent", key) for key in keys]


def test_the_menu_offers_to_tick_and_to_exclude(browser: Any, organization: Organization) -> None:
    make_execution(organization, agent_name="Hymn")

    page = browser.get("/executions?not_name=Gone").content.decode()

    assert '<input type="checkbox" name="name" value="Hymn">' in page
    assert '<input type="checkbox" name="not_name" value="Hymn">' in page
    assert '<input type="checkbox" name="not_name" value="Gone" checked>' in page


def test_the_menu_has_statuses_in_the_order_of_a_run_and_others_in_that_of_the_alphabet(
    browser: Any, organization: Organization
) -> None:
    for name in ("b", "a", "b"):
        make_execution(organization, agent_name=name)

    fields = browser.get("/executions").context["filters"].fields

    ticks = {each["name"]: [tick["value"] for tick in each["ticks"]] for each in fields[:2]}
    assert ticks == {"status": Execution.Status.values, "name": ["a", "b"]}


def test_of_many_values_the_most_frequent_can_be_ticked_and_all_typed(
    browser: Any, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_filters, "MAX_OFFERED", 2)
    for name in ("rare", "often", "often", "common", "common"):
        make_execution(organization, agent_name=name)

    fields = browser.get("/executions?name=rare").context["filters"].fields

    field = next(each for each in fields if each["name"] == "name")
    assert [tick["value"] for tick in field["ticks"]] in (["common", "rare"], ["often", "rare"])
    assert len(field["choices"]) == 1


def test_a_page_reads_no_more_values_than_the_limit(
    browser: Any, organization: Organization
) -> None:
    query = "&".join(f"name=agent-{number}" for number in range(MAX_VALUES + 5))

    response = browser.get(f"/executions?{query}")

    assert len(response.context["query"].filters.name) == MAX_VALUES
