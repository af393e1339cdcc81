"""The overview page."""

import codecs
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from agents.tests.factories import make_agent
from executions.tests.factories import (
    FAILED,
    make_execution,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.overview import figure, long_ago, make_events, make_waiting
from tokens.tests.factories import make_credential


@pytest.mark.parametrize(("days", "shift"), [(7, 7), (30, 35), (90, 91)])
def test_figures_compare_with_the_same_weekdays_before(
    organization: Organization, signed_in: Any, days: int, shift: int
) -> None:
    long_ago(organization)
    agent = make_agent(organization)
    now = timezone.now()
    first, last = (now - timedelta(days=back) for back in (shift + days - 1, shift))
    make_events(organization, 6, agent=agent)
    for at in (first, last):
        make_events(organization, 2, agent=agent, created_at=at)
    for back in (*range(days, shift), shift + days):
        make_events(organization, 50, agent=agent, created_at=now - timedelta(days=back))
    make_events(organization, 2, agent=agent, outcome="refused")

    response = signed_in(make_membership(organization)).get(f"/?days={days}")

    issued, refused = figure(response, "Tokens"), figure(response, "Refused")
    assert issued["value"] == "6"
    assert issued["change"] == {"text": "50\N{NO-BREAK SPACE}%", "direction": "up", "tone": ""}
    assert issued["note"].startswith("from 4 ")
    assert [each["count"] for each in issued["spark"]] == [0] * (days - 1) + [6]
    assert (refused["value"], refused["change"]) == ("2", None)
    assert "25\N{NO-BREAK SPACE}% of requests" in refused["note"]
    compared = f"from {first.day}\u00a0{first:%b} to {last.day}\u00a0{last:%b}"
    assert f"compared with the same weekdays {compared}" in response.content.decode()


def test_a_young_organization_is_compared_with_nothing(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    make_events(organization, 6, agent=agent)
    make_events(organization, 4, agent=agent, created_at=timezone.now() - timedelta(days=8))

    response = signed_in(make_membership(organization)).get("/?days=7")

    assert figure(response, "Tokens")["change"] is None
    assert "compared with" not in response.context["context_line"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Pacific/Pago_Pago"])
def test_the_five_count_days_of_the_zone_and_lead_to_their_rows(
    organization: Organization, signed_in: Any, zone: str
) -> None:
    Organization.objects.filter(pk=organization.pk).update(
        time_zone=zone, created_at=timezone.now() - timedelta(days=400)
    )
    today = timezone.now().astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0)
    first, before = today - timedelta(days=6), today - timedelta(days=7)
    agent = make_agent(organization)
    for at, count in ((first, 3), (before, 2)):
        make_events(organization, count, agent=agent, created_at=at + timedelta(seconds=1))
    for at, number in ((first, 4), (before, 2), (before - timedelta(days=7, seconds=60), 9)):
        for _ in range(number):
            make_execution(
                organization, FAILED, start=at.timestamp() + 1, cost=Decimal("0.25"), agent=agent
            )
    browser = signed_in(make_membership(organization))

    response = browser.get("/?days=7")

    shown = {each["label"]: each for each in response.context["figures"]}
    assert list(shown) == ["Tokens", "Refused", "Runs", "Failed", "Cost"]
    values = [each["value"] for each in shown.values()]
    assert values == ["3", "0", "4", "4", "$\N{NO-BREAK SPACE}1.00"]
    for label, count in (("Tokens", 3), ("Runs", 4), ("Failed", 4), ("Cost", 1)):
        assert [each["count"] for each in shown[label]["spark"]] == [count, *[0] * 6]
    assert [shown[label]["note"].split(" · ")[0] for label in shown] == [
        "from 2",
        "",
        "from 2",
        "from 2",
        "from $\N{NO-BREAK SPACE}0.5000",
    ]
    assert shown["Failed"]["change"]["tone"] == shown["Cost"]["change"]["tone"] == "bad"
    for label in ("Runs", "Failed", "Cost"):
        assert browser.get(shown[label]["url"]).context["page"].paginator.count == 4
    rows = browser.get(shown["Tokens"]["url"])
    assert rows.context["figures"][0]["value"] == "3"


@pytest.mark.parametrize(
    ("query", "count"), [("", 3), ("?outcome=refused", 1), ("?outcome=requests", 4)]
)
def test_the_trend_counts_the_outcome_asked_for(
    organization: Organization, signed_in: Any, query: str, count: int
) -> None:
    agent = make_agent(organization)
    make_events(organization, 3, agent=agent)
    make_events(organization, 1, agent=agent, outcome="refused")

    response = signed_in(make_membership(organization)).get(f"/{query}")

    points = response.context["chart"]["points"]
    assert len(points) == 30
    assert points[-1]["count"] == count
    assert points[-1]["partial"]


@pytest.mark.parametrize(("days", "shown"), [("7", 7), ("90", 90), ("31", 30), ("abc", 30)])
def test_the_range_stands_in_the_address(
    organization: Organization, signed_in: Any, days: str, shown: int
) -> None:
    make_events(organization, 1, agent=make_agent(organization))

    response = signed_in(make_membership(organization)).get(f"/?days={days}")

    assert len(response.context["chart"]["points"]) == shown
    assert f"Last {shown} days" in response.content.decode()


def test_the_months_agents_have_names_and_shares(
    organization: Organization, signed_in: Any
) -> None:
    busy = make_agent(organization, email="busy@agents.example.com")
    other = make_agent(organization, email="other@agents.example.com")
    make_events(organization, 3, agent=busy)
    make_events(organization, 1, agent=other)

    response = signed_in(make_membership(organization)).get("/")

    rows = response.context["agents"]
    assert [(row["agent"].name, row["tokens"], row["share"]) for row in rows] == [
        ("busy", 3, 75),
        ("other", 1, 25),
    ]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Pacific/Pago_Pago"])
def test_the_agents_page_counts_the_month_as_the_overview_does(
    organization: Organization, signed_in: Any, zone: str
) -> None:
    here = timezone.now().astimezone(ZoneInfo(zone))
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    busy, other = (make_agent(organization, email=f"{name}@x.example") for name in ("b", "a"))
    for instant, count in ((first, 3), (first - timedelta(microseconds=1), 5), (here, 1)):
        make_events(organization, count, agent=busy, created_at=instant)
    make_events(organization, 9, agent=other, created_at=first - timedelta(days=1))
    Organization.objects.filter(pk=organization.pk).update(time_zone=zone)
    browser = signed_in(make_membership(organization))

    overview = browser.get("/")
    pages = [browser.get(f"/agents?sort={sort}") for sort in ("name", "-tokens", "tokens")]

    assert [(row["agent"], row["tokens"]) for row in overview.context["agents"]] == [(busy, 4)]
    assert [[(row["agent"], row["tokens"]) for row in page.context["rows"]] for page in pages] == [
        [(other, 0), (busy, 4)],
        [(busy, 4), (other, 0)],
        [(other, 0), (busy, 4)],
    ]
    assert f"Tokens of {here:%B %Y} so far ({zone})." in pages[0].content.decode()


def test_many_findings_are_a_file_rather_than_a_page(
    organization: Organization, signed_in: Any
) -> None:
    for _ in range(52):
        made = timezone.now() - timedelta(days=30)
        make_credential(make_agent(organization), created_at=made)
    make_events(organization, 1, agent=make_agent(organization))
    browser = signed_in(make_membership(organization))

    response = browser.get("/")
    page = response.content.decode()
    lines = browser.get("/overview/findings.csv").content.decode().splitlines()

    assert [len(response.context[name]) for name in ("findings", "more_findings")] == [5, 45]
    assert "Show 47 more" in page
    assert "And 2 more" in page
    assert len(lines) == 1 + 52
    assert lines[1].startswith("credential_unused,warn,agent-")


def test_a_finding_marks_its_day_and_leads_to_its_rows(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization, email="busy@agents.example.com")
    noon = timezone.now().replace(hour=12, minute=0) - timedelta(days=2)
    for back in range(1, 11):
        make_events(organization, 10, agent=agent, created_at=noon - timedelta(days=back))
    make_events(organization, 200, agent=agent, created_at=noon)
    Organization.objects.filter(pk=organization.pk).update(time_zone="Pacific/Auckland")
    browser = signed_in(make_membership(organization))

    response = browser.get("/?tz=UTC")

    finding = response.context["findings"][0]
    flagged = [p for p in response.context["chart"]["points"] if p["flagged"]]
    assert finding["subject"] == "busy"
    assert [point["date"] for point in flagged] == [noon.date().isoformat()]
    rows = browser.get(finding["url"]).context["total"]
    assert rows == flagged[0]["count"] == 200
    assert browser.get(f"/agents/{agent.pk}").context["verdict"].lead == "busy"


def test_an_organization_without_tokens_sees_how_to_get_the_first(
    organization: Organization, signed_in: Any
) -> None:
    page = signed_in(make_membership(organization)).get("/").content.decode()

    assert "Two steps to the first token" in page
    assert "says when the first token arrives" in page


def test_a_viewer_is_not_offered_what_they_may_not_do(
    organization: Organization, signed_in: Any
) -> None:
    page = (
        signed_in(make_membership(organization, Membership.Role.VIEWER)).get("/").content.decode()
    )

    assert "/agents/new" not in page
    assert "/settings" not in page


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("tokens", "date,count"),
        ("activity", "dow,hour,count"),
        ("agents", "agentId,email"),
        ("findings", "code,severity"),
    ],
)
def test_every_part_is_there_as_csv(
    organization: Organization, signed_in: Any, name: str, first: str
) -> None:
    make_events(organization, 1, agent=make_agent(organization, email="=cmd()@example.com"))

    response = signed_in(make_membership(organization)).get(f"/overview/{name}.csv?days=7")

    assert response.content.startswith(codecs.BOM_UTF8)
    text = response.content.decode("utf-8-sig")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert text.startswith(first)
    assert ",=cmd" not in text


def test_another_file_does_not_exist(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))

    assert browser.get("/overview/users.csv").status_code == 404


def test_another_organizations_traffic_is_not_counted(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    make_events(other_organization, 5, agent=make_agent(other_organization))
    make_events(organization, 1, agent=make_agent(organization))

    response = signed_in(make_membership(organization)).get("/")

    assert figure(response, "Tokens")["value"] == "1"
    assert len(response.context["agents"]) == 1


def test_an_agent_of_the_month_shows_its_worst_finding(
    organization: Organization, signed_in: Any
) -> None:
    now = timezone.now()
    worse, other = (make_agent(organization, email=f"{name}@x.example") for name in ("a", "b"))
    for agent in (worse, other):
        make_events(organization, 1, agent=agent)
        make_credential(agent, created_at=now - timedelta(days=30))
    make_credential(worse, last_used_at=now, expires_at=now + timedelta(hours=2))

    response = signed_in(make_membership(organization)).get("/")

    found = {row["agent"]: row["finding"] for row in response.context["agents"]}
    ends = now + timedelta(hours=2)
    assert found[worse]["words"] == f"a credential expires on {ends.day} {ends:%b}"
    assert found[worse]["severity"] == "bad"
    assert found[other]["words"] == "a credential never used"
    assert response.content.decode().count("a credential never used") == 2  # wide and narrow


@pytest.mark.parametrize("has_tokens", [False, True])
def test_the_page_refreshes_its_figures_facts_findings_and_what_waits(
    organization: Organization, signed_in: Any, has_tokens: bool
) -> None:
    if has_tokens:
        make_events(organization, 1, agent=make_agent(organization))
    owner = signed_in(make_membership(organization))

    before = owner.get("/").content.decode()
    make_waiting(organization, 60)
    make_credential(make_agent(organization), created_at=timezone.now() - timedelta(days=30))
    after = owner.get("/").content.decode()

    wanted = 'id="overview" data-live data-every="30"'
    wanted = wanted if has_tokens else 'id="first-steps" data-live data-every="5"'
    for page in (before, after):
        assert wanted in page
        # As many parts whatever happens: with another number the page would load anew.
        assert len(re.findall(r"<div[^>]* data-part>", page)) == (3 if has_tokens else 4)
        assert "js/live_page.js" in page
