"""The three analytics endpoints: response bodies, permissions and what is counted."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.endpoints import ACTIVITY, ENDPOINTS, NOW, TREND, USAGE
from analytics.tests.factories import make_event, make_timeless_key
from conftest import ClientFor
from core.database_clock import database_time
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.tests.factories import make_credential


@pytest.fixture(autouse=True)
def spring() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    make_timeless_key()
    return client_for(organization)


def answer(client: Client, address: str, **parameters: Any) -> Any:
    response = client.get(address, parameters)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def test_the_trend_has_exactly_the_documented_shape(
    organization: Organization, client: Client
) -> None:
    agent = make_agent(organization)
    make_event(agent, NOW)
    make_event(agent, NOW - timedelta(days=1))
    make_event(agent, NOW - timedelta(days=1), outcome="refused")

    response = client.get(TREND, {"days": "3"})

    expected = (
        f'{{"tenantId":"org-{organization.pk}","days":3,"data":['
        '{"date":"2026-04-02","count":0},'
        '{"date":"2026-04-03","count":1},'
        '{"date":"2026-04-04","count":1}]}'
    )
    assert response.content.decode() == expected
    assert response["Content-Type"] == "application/json"


def test_the_activity_has_exactly_the_documented_shape(
    organization: Organization, client: Client
) -> None:
    agent = make_agent(organization)
    for at in (NOW, NOW, NOW - timedelta(days=3, hours=1), NOW - timedelta(days=6)):
        make_event(agent, at)
    make_event(agent, NOW - timedelta(days=6), outcome="refused")
    make_event(agent, NOW, outcome="introspected")
    make_event(agent, NOW - timedelta(days=30), outcome="issued")

    response = client.get(ACTIVITY)

    expected = (
        f'{{"tenantId":"org-{organization.pk}","data":['
        '{"dow":0,"hour":9,"count":2},'
        '{"dow":3,"hour":8,"count":1},'
        '{"dow":6,"hour":9,"count":2}]}'
    )
    assert response.content.decode() == expected


def test_the_usage_has_exactly_the_documented_shape(
    organization: Organization, client: Client
) -> None:
    first, second, idle = sorted((make_agent(organization) for _ in range(3)), key=lambda a: a.pk)
    for agent in (first, second, second):
        make_event(agent, NOW)
    make_event(idle, NOW, outcome="refused")
    make_event(idle, NOW.replace(day=1) - timedelta(days=1))

    response = client.get(USAGE)

    expected = (
        f'{{"tenantId":"org-{organization.pk}","month":"2026-04","data":['
        f'{{"agentId":"{second.pk}","tokenCount":2}},'
        f'{{"agentId":"{first.pk}","tokenCount":1}}]}}'
    )
    assert response.content.decode() == expected


def test_thirty_days_are_the_default_and_end_today(client: Client) -> None:
    body = answer(client, TREND)

    assert body["days"] == len(body["data"]) == 30
    assert (body["data"][0]["date"], body["data"][-1]["date"]) == ("2026-03-06", "2026-04-04")


@pytest.mark.parametrize("days", [1, 7, 90])
def test_every_day_has_its_entry_in_order(client: Client, days: int) -> None:
    body = answer(client, TREND, days=days)

    dates = [date.fromisoformat(row["date"]) for row in body["data"]]
    assert dates == [NOW.date() - timedelta(days=n) for n in reversed(range(days))]


def test_an_organization_without_events_gets_zeros_and_empty_lists(client: Client) -> None:
    assert {row["count"] for row in answer(client, TREND)["data"]} == {0}
    assert answer(client, ACTIVITY)["data"] == []
    assert answer(client, USAGE)["data"] == []


@pytest.mark.parametrize("address", ENDPOINTS)
def test_anonymous_is_refused(organization: Organization, address: str) -> None:
    assert Client().get(address).status_code == 401


@pytest.mark.parametrize("address", ENDPOINTS)
@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_every_member_may_ask(
    organization: Organization, client_for: ClientFor, address: str, role: str
) -> None:
    make_timeless_key()

    with time_machine.travel(database_time()):  # whose clock dates people's tokens
        response = client_for(make_membership(organization, role)).get(address)

    assert response.status_code == 200


@pytest.mark.parametrize("address", ENDPOINTS)
def test_analytics_that_is_off_is_not_there(client: Client, address: str, settings: Any) -> None:
    settings.ANALYTICS_ENABLED = False

    assert client.get(address).status_code == 404
    assert client.get(f"{address}?days=abc").json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize("address", [TREND, ACTIVITY])
@pytest.mark.parametrize("name", ["agentId", "credentialId"])
def test_another_organizations_agent_is_404_like_an_unknown_one(
    other_organization: Organization, client: Client, address: str, name: str
) -> None:
    foreign = make_agent(other_organization)
    credential, _ = make_credential(foreign)
    ids = {"agentId": foreign.pk, "credentialId": credential.pk}

    found = client.get(address, {name: str(ids[name])})
    unknown = client.get(address, {name: "11111111-1111-4111-8111-111111111111"})

    assert (found.status_code, found.content) == (unknown.status_code, unknown.content)
    assert found.status_code == 404


def test_another_organizations_events_never_count(
    organization: Organization, other_organization: Organization, client: Client
) -> None:
    make_event(make_agent(other_organization), NOW)

    assert {row["count"] for row in answer(client, TREND)["data"]} == {0}
    assert answer(client, ACTIVITY)["data"] == []
    assert answer(client, USAGE)["data"] == []


def test_an_agent_and_a_credential_narrow_the_trend(
    organization: Organization, client: Client
) -> None:
    agent = make_agent(organization)
    one, two = make_credential(agent)[0], make_credential(agent)[0]
    for credential in (one, two, two):
        make_event(agent, NOW, credential=credential)
    make_event(make_agent(organization), NOW)

    totals = [
        sum(row["count"] for row in answer(client, TREND, **narrow)["data"])
        for narrow in (
            {},
            {"agentId": agent.pk},
            {"agentId": agent.pk, "credentialId": two.pk},
            {"credentialId": one.pk},
            {"agentId": agent.pk, "tz": "Asia/Kathmandu"},
        )
    ]

    assert totals == [4, 3, 2, 1, 3]


@pytest.mark.parametrize(("outcome", "expected"), [("issued", 2), ("refused", 1), ("all", 3)])
@pytest.mark.parametrize("address", [TREND, ACTIVITY])
def test_an_outcome_narrows(
    organization: Organization, client: Client, address: str, outcome: str, expected: int
) -> None:
    agent = make_agent(organization)
    for kind in ("issued", "issued", "refused", "introspected", "revoked"):
        make_event(agent, NOW, outcome=kind)

    data = answer(client, address, outcome=outcome)["data"]

    assert sum(row["count"] for row in data) == expected


def test_days_and_hours_follow_the_zone(organization: Organization, client: Client) -> None:
    make_event(make_agent(organization), datetime(2026, 4, 3, 18, 20, tzinfo=UTC))

    trend = answer(client, TREND, days=2, tz="Asia/Kathmandu")["data"]
    activity = answer(client, ACTIVITY, tz="Asia/Kathmandu")["data"]

    assert trend == [{"date": "2026-04-03", "count": 0}, {"date": "2026-04-04", "count": 1}]
    assert activity == [{"dow": 6, "hour": 0, "count": 1}]  # 00:05 on Saturday


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Pacific/Auckland", date(2026, 4, 5), 25),
        ("Pacific/Auckland", date(2026, 9, 27), 23),
        ("Asia/Kathmandu", date(2026, 4, 5), 24),
    ],
)
def test_a_day_on_which_the_clocks_change_has_23_or_25_hours(
    organization: Organization, client_for: ClientFor, zone: str, day: date, hours: int
) -> None:
    make_timeless_key()
    agent = make_agent(organization)
    middle = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for quarter in range(-120, 120):
        make_event(agent, middle + timedelta(minutes=15 * quarter))

    with time_machine.travel(middle + timedelta(days=3), tick=False):
        data = answer(client_for(organization), TREND, days=7, tz=zone)["data"]

    assert {row["date"]: row["count"] for row in data}[day.isoformat()] == hours * 4


def test_an_earlier_month_counts_its_own_days_only(
    organization: Organization, client: Client
) -> None:
    agent = make_agent(organization)
    for at in (
        datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
    ):
        make_event(agent, at)

    body = answer(client, USAGE, month="2026-02")

    assert body["month"] == "2026-02"
    assert body["data"] == [{"agentId": str(agent.pk), "tokenCount": 2}]


def test_a_leap_day_belongs_to_february(organization: Organization, client_for: ClientFor) -> None:
    make_timeless_key()
    agent = make_agent(organization)
    make_event(agent, datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC))

    with time_machine.travel(datetime(2028, 3, 1, tzinfo=UTC), tick=False):
        client = client_for(organization)

        assert answer(client, USAGE, month="2028-02")["data"][0]["tokenCount"] == 1
        assert answer(client, USAGE)["data"] == []
        assert [row["count"] for row in answer(client, TREND, days=2)["data"]] == [1, 0]


def test_idle_agents_are_named_on_request(organization: Organization, client: Client) -> None:
    busy = make_agent(organization)
    make_event(busy, NOW)
    make_agent(organization, status=Agent.Status.DECOMMISSIONED)
    with organization_scope(organization):
        kept = {str(agent.pk) for agent in Agent.objects.counted()}

    data = answer(client, USAGE, includeIdle="true")["data"]

    assert data[0] == {"agentId": str(busy.pk), "tokenCount": 1}
    assert {row["agentId"] for row in data} == kept
    rest = [row["agentId"] for row in data[1:]]
    assert rest == sorted(rest)


@pytest.mark.parametrize("address", ENDPOINTS)
def test_the_number_of_queries_does_not_grow(
    organization: Organization,
    client: Client,
    address: str,
    django_assert_num_queries: Any,
) -> None:
    for _ in range(3):
        make_event(make_agent(organization), NOW)
    client.get(address)

    # Savepoint and release, entering and leaving the organization, the caller, and the numbers.
    with django_assert_num_queries(6):
        client.get(address)
