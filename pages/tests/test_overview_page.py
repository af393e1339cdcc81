"""The overview page."""

import codecs
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.tests.factories import make_agent
from executions.tests.factories import FAILED, FINISHED, RUNNING, make_execution, make_user_of
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential


def make_events(organization: Organization, count: int, **fields: Any) -> None:
    fields = {"outcome": "issued", "created_at": timezone.now(), **fields}
    with organization_scope(organization):
        TokenEvent.objects.bulk_create(
            TokenEvent(organization=organization, **fields) for _ in range(count)
        )


def figure(response: Any, label: str) -> dict[str, Any]:
    return next(figure for figure in response.context["figures"] if figure["label"] == label)


def test_figures_compare_with_as_many_days_before(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    make_events(organization, 6, agent=agent)
    make_events(organization, 4, agent=agent, created_at=timezone.now() - timedelta(days=7))
    make_events(organization, 2, agent=agent, outcome="refused")

    response = signed_in(make_membership(organization)).get("/?days=7")

    issued, refused = figure(response, "Tokens issued"), figure(response, "Refused")
    assert issued["value"] == "6"
    assert issued["change"] == {"text": "50\N{NO-BREAK SPACE}%", "direction": "up", "tone": "good"}
    assert (refused["value"], refused["change"]) == ("2", None)
    assert "25\N{NO-BREAK SPACE}% of requests" in refused["note"]


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

    assert [len(response.context[name]) for name in ("findings", "more_findings")] == [3, 47]
    assert "Show 49 more" in page
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

    assert "Three steps to the first token" in page
    assert "grant_type=client_credentials" in page


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

    assert figure(response, "Tokens issued")["value"] == "1"
    assert len(response.context["agents"]) == 1


def test_without_executions_the_overview_says_nothing_of_them(
    organization: Organization, signed_in: Any
) -> None:
    make_events(organization, 1, agent=make_agent(organization))

    response = signed_in(make_membership(organization)).get("/")

    labels = [figure["label"] for figure in response.context["figures"]]
    assert len(labels) == 4
    assert "Running now" not in labels


def test_the_overview_tells_what_runs_and_what_failed(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    now = timezone.now().timestamp()
    make_events(organization, 1, agent=make_agent(organization))
    make_execution(organization, RUNNING, start=now - 3 * 86_400)
    make_execution(organization, FAILED, start=now - 600)
    for start in (now - 700, now - 800):
        make_execution(organization, FINISHED, start=start)
    make_execution(organization, FAILED, start=now - 25 * 3600)
    make_execution(other_organization, RUNNING)
    owner = signed_in(make_membership(organization))

    response = owner.get("/?tz=UTC")

    running, failed = figure(response, "Running now"), figure(response, "Failed in 24 h")
    assert (running["value"], failed["value"]) == ("1", "1")
    assert "newest execution started" in running["note"]
    assert failed["note"] == "25\N{NO-BREAK SPACE}% of 4 executions"
    for each in (running, failed):
        rows = owner.get(each["url"]).context["rows"]
        assert f"{len(rows):,}" == each["value"]


@pytest.mark.parametrize(
    ("ago", "note"),
    [
        (100, "0\N{NO-BREAK SPACE}% of 1 execution"),
        (3 * 86_400, "nothing ran"),
    ],
)
def test_a_day_without_failures_is_shown_as_such(
    organization: Organization, signed_in: Any, ago: int, note: str
) -> None:
    make_execution(organization, start=timezone.now().timestamp() - ago)

    response = signed_in(make_membership(organization)).get("/")

    assert figure(response, "Running now")["value"] == "0"
    failed = figure(response, "Failed in 24 h")
    assert (failed["value"], failed["note"]) == ("0", note)


def test_executions_are_shown_before_the_first_token(
    organization: Organization, signed_in: Any
) -> None:
    make_execution(organization, RUNNING)

    page = signed_in(make_membership(organization)).get("/").content.decode()

    assert "Running now" in page
    assert "Three steps to the first token" in page
    assert "Tokens issued" not in page


def test_a_viewer_sees_only_their_own_executions(
    organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    colleague = make_membership(organization, Membership.Role.VIEWER)
    stranger = make_membership(organization, Membership.Role.VIEWER)
    for person in (viewer, colleague, colleague):
        make_execution(organization, RUNNING, user=make_user_of(person))
    make_execution(organization, RUNNING)

    pages = [
        signed_in(person).get("/")
        for person in (make_membership(organization), viewer, colleague, stranger)
    ]

    told = [[each["value"] for each in page.context["execution_figures"]] for page in pages]
    assert told == [["4", "0"], ["1", "0"], ["2", "0"], []]


def test_many_executions_cost_the_overview_no_more_queries(
    organization: Organization, signed_in: Any
) -> None:
    owner = signed_in(make_membership(organization))
    make_execution(organization)

    with CaptureQueriesContext(connection) as few:
        owner.get("/")
    for _ in range(3):
        make_execution(organization, RUNNING)
        make_execution(organization, FAILED)
    with CaptureQueriesContext(connection) as many:
        owner.get("/")

    assert len(many) == len(few)
    about = [each["sql"] for each in many if "executions_execution" in each["sql"]]
    assert len(about) == 3  # the navigation's count, the figures', and when the newest started
