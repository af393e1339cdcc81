"""Token requests as rows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import event, make_timeless_key, store
from conftest import ClientFor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.tests.token_requests import NOW, make_event, shown
from tokens.models import Credential, TokenEvent
from tokens.tests.factories import make_credential


def test_every_refused_row_says_why(organization: Organization, signed_in: Any) -> None:
    agent = make_agent(organization)
    for reason in TokenEvent.Reason:
        make_event(organization, agent=agent, outcome="refused", reason=reason)
    browser = signed_in(make_membership(organization))

    page = browser.get("/tokens?outcome=refused").content.decode()
    each = browser.get("/tokens?outcome=refused&each=1").content.decode()

    for reason in TokenEvent.Reason:
        assert f'title="{reason.label}">{reason.label}</span></td>' in page
        assert f'<td class="quiet">{reason.label}' in each


def test_a_row_says_how_many_introspections_share_it(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    one = {"agent": agent, "outcome": "introspected", "scope": "agents:read"}
    make_event(organization, **one)
    make_event(organization, **one, times=4312, token_id=uuid4())
    browser = signed_in(make_membership(organization))

    page = browser.get("/tokens?outcome=introspected&each=1").content.decode()

    assert page.count("in a minute") == page.count("4,312 in a minute") == 1
    assert "several tokens" not in page

    with organization_scope(organization):
        TokenEvent.objects.update(token_id=None, scope="")

    page = browser.get("/tokens?outcome=introspected&each=1").content.decode()
    assert page.count("several tokens") == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("from=2026-01-01", 3),
        ("date=2026-01-05", 2),
        ("date=2026-01-05&outcome=issued", 1),
        ("date=2026-01-05&outcome=requests", 2),
        ("date=2026-01-05&tz=Asia/Tokyo", 1),
        ("date=2026-01-06&tz=Asia/Tokyo", 2),
        ("days=1", 0),
        ("dow=1&from=2026-01-01&to=2026-01-31", 2),
        ("hour=23&from=2026-01-01&to=2026-01-31", 1),
        ("hour=8&from=2026-01-01&to=2026-01-31&tz=Asia/Tokyo", 1),
        ("reason=wrong_secret&date=2026-01-05", 1),
        ("not_reason=wrong_secret&date=2026-01-05", 1),
        ("agent=busy&from=2026-01-01", 2),
        ("agent=nobody&from=2026-01-01", 0),
        ("address=192.0.2.7&from=2026-01-01", 1),
        ("not_address=192.0.2.7,nonsense&from=2026-01-01", 2),
        ("address=fe80::1%25" + "a" * 5000 + "&from=2026-01-01", 3),
        ("outcome=nonsense&from=2026-01-01", 3),
        ("credential=nonsense&from=2026-01-01&not_agent=nonsense&hour=99", 3),
        ("from=2026-01-05T23:00&to=2026-01-05T22:00", 2),
    ],
)
def test_a_filter_leaves_exactly_its_rows(
    organization: Organization, signed_in: Any, query: str, count: int
) -> None:
    busy = make_agent(organization, email="busy@agents.example.com")
    other = make_agent(organization, email="other@agents.example.com")
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    make_event(organization, agent=busy, created_at=monday + timedelta(hours=9))
    make_event(
        organization,
        agent=busy,
        created_at=monday + timedelta(hours=23),
        outcome="refused",
        reason="wrong_secret",
    )
    make_event(
        organization,
        agent=other,
        created_at=monday + timedelta(hours=30),
        ip_address="192.0.2.7",
    )

    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False):
        answer = signed_in(make_membership(organization)).get(f"/tokens?{query}")

    assert shown(answer) == count


def test_filters_read_as_a_sentence_and_can_be_dropped_one_by_one(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization, email="busy@agents.example.com")
    browser = signed_in(make_membership(organization))

    page = browser.get(f"/tokens?agent={agent.pk}&outcome=refused").content.decode()

    assert "agent is <strong>busy</strong>" in page
    assert "outcome is <strong>refused</strong>" in page
    assert f'href="/tokens?agent={agent.pk}"' in page
    assert 'href="/tokens?outcome=refused"' in page


def test_a_bar_of_the_trend_counts_the_rows_that_it_opens(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    yesterday = timezone.now() - timedelta(days=1)
    for _ in range(3):
        make_event(organization, agent=agent, credential=credential, created_at=yesterday)
    make_event(organization, agent=agent, created_at=yesterday, outcome="refused")
    browser = signed_in(make_membership(organization))

    chart = browser.get("/").context["chart"]

    point = next(p for p in chart["points"] if p["date"] == yesterday.date().isoformat())
    assert point["count"] == shown(browser.get(point["url"])) == 3


def test_a_cell_of_the_heatmap_counts_the_rows_that_it_opens(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    at = timezone.now() - timedelta(days=2)
    make_event(organization, agent=agent, created_at=at)
    make_event(organization, agent=agent, created_at=at, outcome="refused")
    make_event(organization, agent=agent, created_at=at, outcome="introspected")
    browser = signed_in(make_membership(organization))

    rows = browser.get("/?tz=Asia/Kolkata").context["heatmap"]["rows"]

    cells = [cell for row in rows for cell in row["cells"] if cell["count"]]
    assert [cell["count"] for cell in cells] == [2]
    assert shown(browser.get(cells[0]["url"])) == 2


def test_like_requests_of_an_hour_share_a_line_that_opens_in_place(
    organization: Organization, signed_in: Any, spike: tuple[Agent, Credential]
) -> None:
    browser = signed_in(make_membership(organization))

    closed = browser.get("/tokens?date=2026-02-28")
    lines = closed.context["lines"]
    opened = browser.get(lines[0]["url"].partition("#")[0])
    each = browser.get(lines[0]["each_url"])

    assert [(line["span"], line["fold"].times) for line in lines] == [
        ("14:00 \N{EN DASH} 14:47", 53),
        ("13:00 \N{EN DASH} 13:59", 67),
    ]
    assert lines[0]["about"] == "about every 54\N{NO-BREAK SPACE}s, agents:read"
    assert [len(line["parts"]) for line in opened.context["lines"]] == [53, 0]
    assert each.context["page"].paginator.count == 53


def test_lines_stay_while_requests_come(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))
    with time_machine.travel(NOW, tick=False):
        agents = [make_agent(organization) for _ in range(60)]
        store(organization, [event(agent, NOW - timedelta(minutes=1)) for agent in agents])
        first = browser.get("/tokens")
        old = {line["event"].agent for line in first.context["lines"]}
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        store(organization, [event(agent, NOW + timedelta(seconds=9)) for agent in agents])
        second = browser.get(first.context["next_url"])
        back = browser.get(second.context["previous_url"])

    new = {line["event"].agent for line in second.context["lines"]}
    assert (len(old), len(new), old & new) == (50, 10, set())
    assert {line["event"].agent for line in back.context["lines"]} == old


def test_each_value_filters_and_excludes(
    organization: Organization, signed_in: Any, spike: tuple[Agent, Credential]
) -> None:
    browser = signed_in(make_membership(organization))
    other = make_agent(organization, email="other@agents.example.com")
    at = NOW - timedelta(hours=2)
    store(
        organization,
        [
            event(other, at, ip_address="192.0.2.7"),
            event(other, at, outcome="refused", reason="wrong_secret", ip_address="192.0.2.7"),
            event(other, at, outcome="refused", reason="agent_suspended"),
        ],
    )
    whole = browser.get("/tokens?days=2")
    total = shown(whole)

    assert total == 123
    for ranking in whole.context["rankings"]:
        for row in filter(lambda row: row["url"], ranking["rows"]):
            only, rest = browser.get(row["url"]), browser.get(row["exclude_url"])
            issued_or_refused = ranking["name"] == "outcomes" and row["name"] == "issued"
            assert shown(only) == row["count"], row
            assert shown(rest) == (2 if issued_or_refused else total - row["count"]), row
            again = next(
                each for each in only.context["rankings"] if each["name"] == ranking["name"]
            )
            back = next(each["url"] for each in again["rows"] if each["is_chosen"])
            assert shown(browser.get(back)) == total
            assert [chip["verb"] for chip in rest.context["filters"].chips] in (["is not"], ["is"])


def test_page_api_and_csv_agree(
    organization: Organization,
    signed_in: Any,
    client_for: ClientFor,
    spike: tuple[Agent, Credential],
) -> None:
    make_timeless_key()
    agent, credential = spike
    query = f"secret={credential.pk}&days=7&notAddress=192.0.2.7&notReason=wrong_secret"
    api = client_for(organization, scopes="agents:read")
    browser = signed_in(make_membership(organization))
    page = f"credential={credential.pk}&days=7&not_address=192.0.2.7&not_reason=wrong_secret"

    body = api.get(f"/api/v1/analytics/requests?{query}").json()
    table = api.get(f"/api/v1/analytics/requests?{query}&format=csv").content.decode()
    answer = browser.get(f"/tokens?{page}")
    saved = browser.get(answer.context["csv_url"]).content.decode()

    assert body["total"] == shown(answer) == 130
    assert saved.removeprefix("\ufeff") == table
    assert body["agents"][0] == {
        "value": str(agent.pk),
        "name": "screener-04",
        "count": 130,
        "previousCount": 14,
    }


@pytest.mark.parametrize(
    ("query", "title", "links"),
    [
        ("", "No agent has asked for a token yet", []),
        ("old", "No requests in this time", ["Last 30 days", "Last 90 days"]),
        (
            "old&agent=nobody",
            "No requests match",
            ["Clear filters", "Last 30 days", "Last 90 days"],
        ),
    ],
)
def test_an_empty_page_says_why_and_what_may_help(
    organization: Organization, signed_in: Any, query: str, title: str, links: list[str]
) -> None:
    if query:
        make_event(organization, created_at=timezone.now() - timedelta(days=20))

    answer = signed_in(make_membership(organization)).get(f"/tokens?{query}")

    assert f"<h2>{title}</h2>" in answer.content.decode()
    assert [link["label"] for link in answer.context["empty_state"]["links"]] == links
