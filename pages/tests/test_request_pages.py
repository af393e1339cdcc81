"""Token requests as rows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential


def make_event(organization: Organization, **fields: Any) -> None:
    with organization_scope(organization):
        TokenEvent.objects.create(organization=organization, **{"outcome": "issued", **fields})


def shown(answer: Any) -> int:
    """The number of requests that the page counts, in all of its parts."""
    total, lines = answer.context["total"], answer.context.get("lines") or []
    bars = sum(point["count"] for point in answer.context["chart"]["points"])
    assert total == bars == sum(line["fold"].times for line in lines)
    return int(total)


def test_every_refused_row_says_why(organization: Organization, signed_in: Any) -> None:
    agent = make_agent(organization)
    for reason in TokenEvent.Reason:
        make_event(organization, agent=agent, outcome="refused", reason=reason)
    browser = signed_in(make_membership(organization))

    page = browser.get("/tokens?outcome=refused").content.decode()
    each = browser.get("/tokens?outcome=refused&each=1").content.decode()
    of_agent = browser.get(f"/agents/{agent.pk}").content.decode()

    for reason in TokenEvent.Reason:
        assert f'<td class="quiet drop">{reason.label}' in page
        assert f'<td class="quiet">{reason.label}' in each
    assert f'<td class="quiet">{reason.label}' in of_agent


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

    for address in ("/tokens?outcome=introspected&each=1", f"/agents/{agent.pk}"):
        assert browser.get(address).content.decode().count("several tokens") == 1


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
