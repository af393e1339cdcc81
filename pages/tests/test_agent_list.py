"""The list of agents puts those first that need somebody, and says why in a few words."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import event, store
from executions.tests.factories import FAILED, FINISHED, RUNNING, make_execution
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential
from tokens.tests.factories import make_credential

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SIZE = 4


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Paginator.__init__

    def init(self: Any, object_list: Any, per_page: int, *others: Any) -> None:
        original(self, object_list, SIZE, *others)

    monkeypatch.setattr(Paginator, "__init__", init)


def named(organization: Organization, name: str, **fields: Any) -> Agent:
    return make_agent(organization, email=f"{name}@agents.example.com", **fields)


def unused(agent: Agent) -> Credential:
    return make_credential(agent, created_at=timezone.now() - 20 * DAY)[0]


def ending(agent: Agent, left: timedelta) -> Credential:
    now = timezone.now()
    return make_credential(agent, last_used_at=now - HOUR, expires_at=now + left)[0]


def revoke(*credentials: Credential) -> None:
    for credential in credentials:
        with organization_scope(credential.organization_id):
            Credential.objects.filter(pk=credential.pk).update(
                status=Credential.Status.REVOKED, revoked_at=timezone.now()
            )


def names(response: Any) -> list[str]:
    return [row["agent"].name for row in response.context["rows"]]


def names_on(pages: list[Any]) -> list[str]:
    return [name for page in pages for name in names(page)]


def row_of(response: Any, agent: Agent) -> str:
    """The row's HTML."""
    rows = re.findall(r"<tr data-row>.*?</tr>", response.content.decode(), re.DOTALL)
    return next(row for row in rows if f"/agents/{agent.pk}" in row)


def read_on(browser: Client, url: str = "/agents") -> list[Any]:
    """The pages from this one to the last."""
    pages = []
    while url:
        pages.append(browser.get(url))
        page = pages[-1].context["page"]
        query = f"?page={page.number + 1}&cursor={page.next_cursor}"
        url = f"/agents{query}" if page.next_cursor else ""
    return pages


def test_trouble_comes_first_the_worst_before_the_rest(
    organization: Organization, browser: Client
) -> None:
    calm = [named(organization, name) for name in ("b-calm", "a-calm")]
    unused(named(organization, "c-unused"))
    ending(named(organization, "d-ending"), 5 * DAY)
    worst = named(organization, "e-urgent")
    ending(worst, 2 * HOUR)
    unused(worst)

    first, same, reverse, by_name = (
        browser.get(f"/agents{query}")
        for query in ("", "?sort=trouble", "?sort=-trouble", "?sort=name")
    )

    assert names(first) == ["e-urgent", "d-ending", "c-unused", "a-calm", "b-calm"]
    assert names(same) == names(first)
    assert names(reverse) == ["a-calm", "b-calm", "c-unused", "d-ending", "e-urgent"]
    assert names(by_name) == sorted(names(first))
    for page in (first, by_name):
        assert "and 1 more" in row_of(page, worst)
        assert "Urgent:" in row_of(page, worst)
        assert "Urgent:" not in row_of(page, calm[0])
    assert 'aria-sort="ascending"' in first.content.decode()


def test_a_row_says_what_is_wrong_and_leads_to_it(
    organization: Organization, browser: Client
) -> None:
    agent = named(organization, "screener")
    noon = timezone.now().replace(hour=12, minute=0) - 2 * DAY
    usual = [event(agent, noon - back * DAY) for back in range(1, 11) for _ in range(10)]
    store(organization, [*usual, *(event(agent, noon) for _ in range(200))])

    response = browser.get("/agents")

    row = row_of(response, agent)
    found = response.context["rows"][0]
    assert "20\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN} its typical day on " in row
    assert "screener asked for 200 tokens on" in row
    assert browser.get(found["trouble"].url).context["total"] == 200
    counts = [(bar["count"], bar["flagged"], bar["partial"]) for bar in found["spark"]]
    assert len(counts) == 30
    assert counts[-4:] == [
        (10, False, False),
        (200, True, False),
        (0, False, False),
        (0, False, True),
    ]


def test_an_agent_as_it_should_be_has_no_colour(
    organization: Organization, browser: Client
) -> None:
    agent = named(organization, "calm")
    suspended = named(organization, "suspended", status="suspended")
    store(organization, [event(agent, timezone.now())])

    response = browser.get("/agents")

    assert set(re.findall(r"(?:tone|trouble)-\w+", row_of(response, agent))) == {"tone-idle"}
    assert "tone-warn" in row_of(response, suspended)


@pytest.mark.usefixtures("small_pages")
def test_the_order_stays_while_findings_come_and_go_between_pages(
    organization: Organization, browser: Client
) -> None:
    agents = [named(organization, f"agent-{number:02}") for number in range(14)]
    early = [unused(agent) for agent in agents[8:14]]
    expected = [agent.name for agent in (*agents[8:], *agents[:8])]
    assert names_on(read_on(browser)) == expected

    first = browser.get("/agents")
    cursor = first.context["page"].next_cursor
    revoke(early[0], early[5])  # one of the first page, one of the second
    for agent in agents[2:4]:  # of the last page
        ending(agent, HOUR)
    late = named(organization, "agent-99")
    unused(late)
    rest = read_on(browser, f"/agents?page=2&cursor={cursor}")
    back = browser.get(f"/agents?page=2&cursor={rest[1].context['page'].previous_cursor}")

    assert names_on([first, *rest]) == [*expected, "agent-99"]
    assert names(back) == names(rest[0])
    rows = {row["agent"].name: row for page in rest for row in page.context["rows"]}
    assert rows["agent-13"]["trouble"] is None
    assert rows["agent-02"]["trouble"].severity == "bad"
    assert names(browser.get("/agents"))[:2] == ["agent-02", "agent-03"]


@pytest.mark.usefixtures("small_pages")
def test_an_order_without_any_trouble_stays_as_well(
    organization: Organization, browser: Client
) -> None:
    agents = [named(organization, f"agent-{number:02}") for number in range(10)]
    first = browser.get("/agents")
    unused(agents[9])

    rest = read_on(browser, f"/agents?page=2&cursor={first.context['page'].next_cursor}")

    assert names_on([first, *rest]) == [agent.name for agent in agents]


@pytest.mark.usefixtures("small_pages")
def test_more_trouble_than_comes_first_is_still_told(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.agents.listing.AGENTS_IN_FRONT", 2)
    monkeypatch.setattr("pages.agents.trouble.AGENTS_IN_FRONT", 2)
    agents = [named(organization, f"agent-{number:02}") for number in range(10)]
    for agent in agents[4:]:
        unused(agent)
    ending(agents[9], HOUR)

    pages = read_on(browser)

    shown = [row for page in pages for row in page.context["rows"]]
    assert [row["agent"].name for row in shown[:4]] == [
        *("agent-09", "agent-04"),
        *("agent-00", "agent-01"),
    ]
    troubled = {row["agent"].name for row in shown if row["trouble"]}
    assert troubled == {agent.name for agent in agents[4:]}
    assert len(shown) == 10
    for page in pages:
        assert "further agents with findings stand among the others" in page.content.decode()


def test_filters_and_search_leave_the_order(organization: Organization, browser: Client) -> None:
    for name, owner in (("a", "ops"), ("b", "ops"), ("c", "labs"), ("d", "ops")):
        agent = named(organization, name, owner=owner)
        if name in "cd":
            unused(agent)

    assert names(browser.get("/agents?owner=ops")) == ["d", "a", "b"]
    assert names(browser.get("/agents?q=labs")) == ["c"]


@pytest.mark.parametrize(
    ("role", "is_shown"),
    [
        (Membership.Role.VIEWER, False),
        (Membership.Role.OPERATOR, True),
        (Membership.Role.OWNER, True),
    ],
)
def test_runs_and_cost_are_for_those_who_see_all_runs(
    organization: Organization, signed_in: Any, role: str, is_shown: bool
) -> None:
    agent, idle = named(organization, "screener"), named(organization, "idle")
    now = timezone.now().timestamp()
    make_execution(organization, FINISHED, agent=agent, cost=Decimal("1.5"))
    make_execution(organization, FAILED, agent=agent, cost=Decimal("0.25"))
    make_execution(organization, RUNNING, agent=agent)
    make_execution(organization, FAILED, agent=agent, start=now - 31 * 86_400, cost=Decimal(70))
    browser = signed_in(make_membership(organization, role))

    response = browser.get("/agents")

    page, row = response.content.decode(), row_of(response, agent)
    assert ("Failed runs" in page) is ("Cost" in page) is is_shown
    assert ("1 of 3" in row) is ("$\N{NO-BREAK SPACE}1.75" in row) is is_shown
    assert ("runs and cost are of the last 30 days" in page) is is_shown
    assert " of " not in row_of(response, idle)
    if is_shown:
        figures = browser.get(f"/agents/{agent.pk}").context["figures"]
        told = {each["label"]: each["value"] for each in figures}
        cost = "$\N{NO-BREAK SPACE}1.75"
        assert (told["Failed"], told["Runs"], told["Cost"]) == ("1", "3", cost)


@pytest.mark.parametrize("sort", ["trouble", "name", "-tokens"])
def test_many_rows_cost_as_many_statements_as_one(
    organization: Organization, browser: Client, sort: str
) -> None:
    def add(first: int, last: int) -> None:
        now = timezone.now()
        for number in range(first, last):
            agent = named(organization, f"agent-{number:02}")
            unused(agent)
            ending(agent, 3 * DAY)
            events = [event(agent, now, outcome="refused") for _ in range(31)]
            days = [event(agent, now - back * DAY) for back in range(9) for _ in range(2)]
            store(organization, [*events, *days, *(event(agent, now) for _ in range(120))])
            make_execution(organization, FAILED, agent=agent, cost=Decimal(1))

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/agents?sort={sort}").status_code == 200
        return len(captured)

    add(0, 1)
    browser.get(f"/agents?sort={sort}")
    one = statements()
    add(1, 6)

    assert statements() == one


def test_another_organizations_numbers_are_not_in_the_list(
    organization: Organization, other_organization: Organization, browser: Client
) -> None:
    own, foreign = named(organization, "screener"), named(other_organization, "screener")
    unused(foreign)
    store(other_organization, [event(foreign, timezone.now()) for _ in range(7)])
    make_execution(other_organization, FAILED, agent=foreign, cost=Decimal("3.5"))

    response = browser.get("/agents")

    (row,) = response.context["rows"]
    assert row["agent"] == own
    assert (row["trouble"], row["tokens"], row["spark"], row["runs"]) == (None, 0, None, None)
