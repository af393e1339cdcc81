"""Following "next" on a page shows each row once while rows are added."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core.paginator import Page, Paginator
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from executions.models import now
from executions.tests.factories import FINISHED, RUNNING, make_execution, make_user_of
from organizations.tenancy.scope import organization_scope
from tests import examples
from tests.tenants import Tenant
from tokens.models import Credential, TokenEvent
from tokens.tests.factories import make_credential


def more_requests(tenant: Tenant, number: int) -> None:
    own = {"organization": tenant.organization, "agent": tenant.agent}
    with organization_scope(tenant.organization):
        for _ in range(number):
            TokenEvent.objects.create(**own, outcome=TokenEvent.Outcome.ISSUED)


def more_agents_with_tokens(tenant: Tenant, number: int) -> None:
    """Add agents, and tokens for every second existing one, which changes their order."""
    with organization_scope(tenant.organization):
        old = list(Agent.objects.filter(organization=tenant.organization).order_by("pk"))
    examples.more_agents(tenant, number)
    own = {"organization": tenant.organization, "outcome": TokenEvent.Outcome.ISSUED}
    with organization_scope(tenant.organization):
        for place, agent in enumerate(reversed(old)):
            for _ in range(place % 4):
                TokenEvent.objects.create(**own, agent=agent)


def of_a_group(tenant: Tenant) -> str:
    return f"/executions/errors?group={examples.error_group(tenant)['fingerprint']}"


def more_of_a_group(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        tenant.fail(tenant.failed_execution.agent_name)


def more_agents_and_trouble(tenant: Tenant, number: int) -> None:
    """Add agents, end what is wrong with every second one, and begin it with the others."""
    examples.more_agents(tenant, number)
    with organization_scope(tenant.organization):
        unused = Credential.objects.filter(organization=tenant.organization, name="unused")
        had_trouble = set(unused.values_list("agent_id", flat=True))
        unused.update(status=Credential.Status.REVOKED)
        agents = list(Agent.objects.filter(organization=tenant.organization).order_by("pk"))
    for agent in agents[::2]:
        if agent.pk not in had_trouble:
            make_credential(agent, created_at=timezone.now() - timedelta(days=20), name="unused")


@dataclass(frozen=True)
class List:
    """A page with a list, how to fill it, and whether new rows come first."""

    path: Callable[[Tenant], str]
    rows: Callable[[Tenant, int], None]
    grows_in_front: bool = False


def at(path: str) -> Callable[[Tenant], str]:
    return lambda tenant: path


LISTS = {
    "executions": List(at("/executions"), examples.more_failures, grows_in_front=True),
    "by agent": List(at("/executions?sort=agent"), examples.more_failures),
    "groups of errors": List(at("/executions/errors"), examples.more_failures, grows_in_front=True),
    "errors": List(of_a_group, more_of_a_group, grows_in_front=True),
    "events": List(
        lambda tenant: f"/executions/{tenant.failed_execution.fid}/events", examples.more_lines
    ),
    "requests": List(at("/tokens?each=1"), more_requests, grows_in_front=True),
    "audit": List(at("/audit"), examples.more_events, grows_in_front=True),
    "agents": List(at("/agents?sort=-registered"), examples.more_agents, grows_in_front=True),
    "agents by trouble": List(at("/agents"), more_agents_and_trouble),
    "agents by least trouble": List(at("/agents?sort=-trouble"), more_agents_and_trouble),
    "agents by name": List(at("/agents?sort=name"), examples.more_agents),
    "agents by tokens": List(at("/agents?sort=-tokens"), more_agents_with_tokens),
    "agents by fewest tokens": List(at("/agents?sort=tokens"), more_agents_with_tokens),
    "agents by use": List(at("/agents?sort=-used"), examples.more_agents),
    "resources": List(at("/resources"), examples.more_resources),
}
ANY_LIST = pytest.mark.parametrize("name", LISTS)
SIZE = 6


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of any list has SIZE rows, so that few rows fill several pages."""
    original = Paginator.__init__

    def init(self: Any, object_list: Any, per_page: int, *others: Any) -> None:
        original(self, object_list, SIZE, *others)

    monkeypatch.setattr(Paginator, "__init__", init)


@pytest.fixture
def browser(client: Client, ours: Tenant) -> Client:
    client.force_login(ours.person("owner").user)
    return client


def keys(page: Page[Any]) -> list[str]:
    names = ("pk", "sequence", "fingerprint")
    return [
        str(next(getattr(row, name) for name in names if getattr(row, name, None) is not None))
        for row in page.object_list
    ]


def link(answer: Any, relation: str) -> str | None:
    """The URL of the next or the previous page."""
    found = re.search(rf'<a rel="{relation}" href="(.*?)"', answer.content.decode())
    return answer.wsgi_request.path + unescape(found[1]) if found else None


def read_on(browser: Client, url: str | None) -> tuple[list[str], str | None]:
    """The rows from this page to the last one, whose URL is returned as well."""
    rows: list[str] = []
    while url:
        answer = browser.get(url)
        rows += keys(answer.context["page"])
        last, url = url, link(answer, "next")
    return rows, last


@ANY_LIST
def test_every_row_comes_once_while_others_come(browser: Client, ours: Tenant, name: str) -> None:
    each = LISTS[name]
    url = each.path(ours)
    each.rows(ours, SIZE * 2 + 5)
    before, _ = read_on(browser, url)
    first = browser.get(url)
    each.rows(ours, 4)
    second = browser.get(link(first, "next"))
    each.rows(ours, SIZE)  # enough to fill one more page

    rest, _ = read_on(browser, link(second, "next"))

    found = [*keys(first.context["page"]), *keys(second.context["page"]), *rest]
    assert len(found) == len(set(found))
    assert [row for row in found if row in before] == before
    assert f"{SIZE + 1}\N{EN DASH}{SIZE * 2} of " in second.content.decode()


@ANY_LIST
def test_back_is_where_one_came_from(browser: Client, ours: Tenant, name: str) -> None:
    each = LISTS[name]
    each.rows(ours, SIZE * 3 + 5)
    pages = [browser.get(each.path(ours))]
    for _ in range(3):
        pages.append(browser.get(link(pages[-1], "next")))
    if each.grows_in_front:
        each.rows(ours, 7)

    back = [pages[-1]]
    for _ in range(2):
        back.append(browser.get(link(back[-1], "prev")))
    forth = browser.get(link(back[-1], "next"))

    assert [keys(each.context["page"]) for each in back] == [
        keys(each.context["page"]) for each in pages[:0:-1]
    ]
    assert keys(forth.context["page"]) == keys(pages[2].context["page"])
    assert "page=1" in str(link(back[-1], "prev"))
    assert "cursor" not in str(link(back[-1], "prev"))


@pytest.mark.slow
def test_each_page_continues_after_the_previous_one_in_any_order(
    browser: Client, ours: Tenant
) -> None:
    """Many rows have equal values or none: no cost, no user, no end."""
    start = now() - 1000
    for n in range(SIZE * 3 - 1):
        make_execution(
            ours.organization,
            RUNNING if n % 3 else FINISHED,
            start=start + n % 7,
            agent_name="abc"[n % 3],
            user=make_user_of(ours.person("viewer")) if n % 2 else None,
            cost=n % 5 if n % 4 else None,
            upload_count=n % 2,
        )
    for column in ("status", "agent", "user", "started", "runtime", "files", "cost"):
        for sort in (column, f"-{column}"):
            rows, last = read_on(browser, f"/executions?sort={sort}")
            by_number = [
                row
                for page in (1, 2, 3)
                for row in keys(browser.get(f"/executions?sort={sort}&page={page}").context["page"])
            ]
            assert (sort, rows) == (sort, by_number)
            assert len(set(rows)) == SIZE * 3 - 1
            back = browser.get(link(browser.get(last), "prev"))
            assert (sort, keys(back.context["page"])) == (sort, rows[SIZE : SIZE * 2])


@pytest.mark.parametrize("cursor", ["", "1", "x" * 3000, "\u2028", "another list's"])
def test_a_page_shows_the_list_rather_than_an_error(
    browser: Client, ours: Tenant, cursor: str
) -> None:
    examples.more_agents(ours, SIZE + 2)
    if cursor == "another list's":
        other = browser.get("/agents?sort=-name")
        cursor = str(other.context["page"].next_cursor)

    answer = browser.get(f"/agents?page=2&cursor={cursor}")

    assert answer.status_code == 200
    assert answer.context["page"].number == 2


def test_the_log_can_be_paged_beyond_the_counted_rows(
    browser: Client, ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.lists.COUNTED_AT_MOST", 10)
    examples.more_events(ours, 20)

    rows, last = read_on(browser, "/audit")

    assert len(set(rows)) == len(rows) >= 20
    assert "of more than 10" in browser.get(last).content.decode()


def test_another_filter_forgets_the_place_in_the_list(browser: Client, ours: Tenant) -> None:
    for _ in range(SIZE + 2):
        ours.another_agent(owner=f"team {uuid4().hex[:2]}")
    second = browser.get(str(link(browser.get("/agents?sort=owner"), "next"))).content.decode()

    addresses = re.findall(r'href="([^"]*sort=[^"]*)"', second)
    places = [each for each in addresses if "cursor=" in each and "page=" not in each]
    assert places == []
    assert second.count("cursor=") == 0
