"""Token requests as rows."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
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


def shown(page: str) -> int:
    found = re.search(r"of ([\d,]+)", page)
    return int(found[1].replace(",", "")) if found else 0


def test_every_refused_row_says_why(organization: Organization, signed_in: Any) -> None:
    agent = make_agent(organization)
    for reason in TokenEvent.Reason:
        make_event(organization, agent=agent, outcome="refused", reason=reason)
    browser = signed_in(make_membership(organization))

    page = browser.get("/tokens?outcome=refused").content.decode()
    of_agent = browser.get(f"/agents/{agent.pk}").content.decode()

    for reason in TokenEvent.Reason:
        assert f'<td class="quiet">{reason.label}' in page
    assert f'<td class="quiet">{reason.label}' in of_agent


def test_a_row_says_how_many_introspections_share_it(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    one = {"agent": agent, "outcome": "introspected", "scope": "agents:read"}
    make_event(organization, **one)
    make_event(organization, **one, times=4312, token_id=uuid4())
    browser = signed_in(make_membership(organization))

    page = browser.get("/tokens").content.decode()

    assert page.count("in a minute") == page.count("4,312 in a minute") == 1
    assert "several tokens" not in page

    with organization_scope(organization):
        TokenEvent.objects.update(token_id=None, scope="")

    for address in ("/tokens", f"/agents/{agent.pk}"):
        assert browser.get(address).content.decode().count("several tokens") == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("date=2026-01-05", 2),
        ("date=2026-01-05&outcome=issued", 1),
        ("date=2026-01-05&outcome=requests", 2),
        ("date=2026-01-05&tz=Asia/Tokyo", 1),
        ("date=2026-01-06&tz=Asia/Tokyo", 2),
        ("dow=1", 2),
        ("hour=23", 1),
        ("hour=8&tz=Asia/Tokyo", 1),
        ("reason=wrong_secret", 1),
        ("agent=busy", 2),
        ("agent=nobody", 0),
        ("outcome=nonsense", 3),
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
    make_event(organization, agent=other, created_at=monday + timedelta(hours=30))

    page = signed_in(make_membership(organization)).get(f"/tokens?{query}").content.decode()

    assert shown(page) == count


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
    assert point["count"] == shown(browser.get(point["url"]).content.decode()) == 3


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
    assert shown(browser.get(cells[0]["url"]).content.decode()) == 2
