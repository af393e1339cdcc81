"""Each finding on a table small enough to add up by hand, and just below its limits."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from analytics.findings.finding import Finding
from analytics.findings.records import CredentialRecord, Records
from analytics.findings.rules import judge
from analytics.tests.factories import event, store
from organizations.models import Organization
from tokens.tests.factories import make_credential

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
TODAY = NOW.date()
DAY = timedelta(days=1)
SCREENER, ROUTER, WRITER = (UUID(int=number) for number in (1, 2, 3))
NAMES = {SCREENER: "screener-04", ROUTER: "ingest-router", WRITER: "report-writer"}
SECRET = UUID(int=9)
NO_BREAK = "\N{NO-BREAK SPACE}"
TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}"


def records(**fields: Any) -> Records:
    """Records in which these agents are the only ones."""
    totals: Counter[date] = Counter()
    for counts in fields.get("issued", {}).values():
        totals.update(counts)
    month_total = sum(fields.get("month", {}).values())
    return Records(now=NOW, names=NAMES, totals=totals, month_total=month_total, **fields)


def days(usual: int, **exceptions: int) -> dict[date, int]:
    """`usual` on each of the 42 days up to today, with exceptions: `back_3=7` is 7 three days
    ago.
    """
    counts = {TODAY - back * DAY: usual for back in range(42)}
    for name, count in exceptions.items():
        counts[TODAY - int(name.removeprefix("back_")) * DAY] = count
    return counts


def credential(**fields: Any) -> CredentialRecord:
    known = {"id": SECRET, "agent_id": SCREENER, "secret_hint": "7f2c", "expires_at": None}
    known |= {"created_at": NOW - 90 * DAY, "last_used_at": NOW - DAY}
    return CredentialRecord(**(known | fields))


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


def test_nothing_is_found_in_nothing() -> None:
    assert judge(records()) == ()


def test_a_spike_names_the_day_the_factor_and_the_credential() -> None:
    day = TODAY - DAY

    found = judge(
        records(
            issued={SCREENER: days(10, back_1=140), ROUTER: days(50)},
            by_credential={(SCREENER, day): {SECRET: 137, UUID(int=8): 3}},
            hints={SECRET: "7f2c"},
        )
    )

    assert codes(found) == ["token_spike"]
    assert found[0].severity == "bad"
    assert found[0].message == (
        f"screener-04 asked for 140 tokens on 19 Nov, 14{TIMES} its typical day."
    )
    assert found[0].detail == (
        f"A retry loop or a leaked secret. 98{NO_BREAK}% came with credential …7f2c."
    )
    assert found[0].numbers["usualDay"] == 10
    assert found[0].credential_id == SECRET
    assert f"date={day}" in found[0].link


@pytest.mark.parametrize(
    "counts",
    [
        days(10, back_1=99),  # below the smallest number that is reported
        days(40, back_1=199),  # not five times the usual
        days(10, back_20=140),  # too long ago
        {TODAY: 500},  # too few days to tell what is usual
    ],
)
def test_no_spike(counts: dict[date, int]) -> None:
    assert "token_spike" not in codes(judge(records(issued={SCREENER: counts})))


def test_a_silent_day_stands_out_from_its_weekday() -> None:
    found = judge(records(issued={SCREENER: days(30, back_3=0)}))

    assert codes(found) == ["silent_day"]
    assert found[0].severity == "warn"
    assert found[0].dates == (TODAY - 3 * DAY,)
    assert found[0].message == "No agent got a token on 17 Nov."
    assert found[0].detail.startswith("A typical Tuesday has 30.")


def test_silence_that_lasts_is_bad() -> None:
    found = judge(records(issued={SCREENER: days(30, back_2=0, back_1=0, back_0=0)}))

    assert [(finding.code, finding.severity) for finding in found] == [("silent_day", "bad")]
    assert found[0].message == "No agent got a token from 18 Nov to 19 Nov, and none since."


@pytest.mark.parametrize(
    "counts",
    [
        days(19, back_3=0),  # a quiet organization
        days(30, back_3=0, back_10=0, back_17=0, back_24=0),  # Tuesdays are always off
        days(30, back_0=0),  # today is not over
    ],
)
def test_no_silent_day(counts: dict[date, int]) -> None:
    assert "silent_day" not in codes(judge(records(issued={SCREENER: counts})))


def test_a_dominant_agent_is_asked_whether_it_caches() -> None:
    found = judge(records(month={ROUTER: 830, SCREENER: 100, WRITER: 70}))

    assert codes(found) == ["dominant_agent"]
    assert found[0].message == f"ingest-router makes 83{NO_BREAK}% of this month's tokens."
    assert found[0].numbers["share"] == 0.83
    assert "it asks every 34 minutes" not in found[0].detail


@pytest.mark.parametrize(
    "month",
    [
        {ROUTER: 800, SCREENER: 100, WRITER: 100},  # exactly four fifths
        {ROUTER: 415, SCREENER: 50, WRITER: 34},  # too few tokens to report
        {ROUTER: 900, SCREENER: 100},  # of two agents, one always has more
    ],
)
def test_no_dominant_agent(month: dict[UUID, int]) -> None:
    assert judge(records(month=month)) == ()


def test_refusals_that_rise_name_their_reason() -> None:
    found = judge(
        records(
            issued={SCREENER: days(10)},
            refused={SCREENER: {TODAY: 30, TODAY - 10 * DAY: 4}},
            reasons={SCREENER: "Wrong secret"},
        )
    )

    assert codes(found) == ["refusals_rising"]
    assert "refused 30 times in the last 7 days; 1 a week is typical" in found[0].message
    assert found[0].detail == "Mostly: wrong secret."


@pytest.mark.parametrize(
    ("refused", "issued"),
    [
        ({TODAY: 29}, 10),  # few
        ({TODAY: 30, TODAY - 10 * DAY: 44}, 10),  # 11 a week are usual
        ({TODAY: 30}, 100),  # a small share of its requests
    ],
)
def test_no_rising_refusals(refused: dict[date, int], issued: int) -> None:
    found = judge(records(issued={SCREENER: days(issued)}, refused={SCREENER: refused}))

    assert "refusals_rising" not in codes(found)


@pytest.mark.parametrize(
    ("fields", "code", "severity"),
    [
        ({"expires_at": NOW + timedelta(days=5, hours=1)}, "credential_expiring", "warn"),
        ({"expires_at": NOW + timedelta(hours=5)}, "credential_expiring", "bad"),
        (
            {"expires_at": NOW - DAY, "refused_since_expiry": 3},
            "credential_expiring",
            "bad",
        ),
        ({"last_used_at": NOW - 31 * DAY}, "credential_unused", "warn"),
        ({"last_used_at": None, "created_at": NOW - 8 * DAY}, "credential_unused", "warn"),
    ],
)
def test_a_credential_is_named_before_it_hurts(
    fields: dict[str, Any], code: str, severity: str
) -> None:
    found = judge(records(credentials=(credential(**fields),)))

    assert [(finding.code, finding.severity) for finding in found] == [(code, severity)]
    assert "…7f2c" in found[0].message


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": NOW + 8 * DAY},
        {"expires_at": NOW - DAY},  # expired and not tried any more
        {"last_used_at": NOW - 30 * DAY},
        {"last_used_at": None, "created_at": NOW - 7 * DAY},
    ],
)
def test_a_credential_in_order_is_not_named(fields: dict[str, Any]) -> None:
    assert judge(records(credentials=(credential(**fields),))) == ()


def test_the_worst_comes_first() -> None:
    found = judge(
        records(
            issued={SCREENER: days(10, back_1=140)},
            month={ROUTER: 830, SCREENER: 100, WRITER: 70},
            credentials=(credential(last_used_at=None),),
        )
    )

    assert codes(found) == ["token_spike", "dominant_agent", "credential_unused"]


ClientFor = Callable[..., Client]


def test_the_api_tells_findings_with_their_numbers(
    organization: Organization, other_organization: Organization, client_for: ClientFor
) -> None:
    for owner in (organization, other_organization):
        agent = make_agent(owner, email="screener-04@agents.example.com")
        made, _ = make_credential(agent)
        now = datetime.now(UTC)
        for back in range(1, 15):
            count = 150 if back == 1 and owner == organization else 5
            moment = (now - back * DAY).replace(hour=9)
            store(owner, [event(agent, moment, credential=made) for _ in range(count)])

    answer = client_for(organization).get("/api/v1/analytics/findings")

    assert answer.status_code == 200
    body = answer.json()
    assert body["tenantId"] == organization.public_id
    spikes = [finding for finding in body["data"] if finding["code"] == "token_spike"]
    assert [(spike["agentName"], spike["numbers"]["tokenCount"]) for spike in spikes] == [
        ("screener-04", 150)
    ]
    foreign = client_for(other_organization).get("/api/v1/analytics/findings").json()
    assert "token_spike" not in {finding["code"] for finding in foreign["data"]}


def test_findings_come_as_csv(organization: Organization, client_for: ClientFor) -> None:
    answer = client_for(organization).get(
        "/api/v1/analytics/findings", headers={"Accept": "text/csv"}
    )

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    assert answer.content.decode().splitlines()[0].startswith("code,severity,agentName")
