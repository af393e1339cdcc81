"""Every number equals a recount of the events, for any order of events and any zone.

The recount is written in SQL with PostgreSQL's own zone rules, independently of queries.py.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.tests.factories import make_agent
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import event, make_timeless_key
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.access_tokens import new_token_id, sign_agent_token
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential

ZONES = [
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
# Both changes of the clocks in New York and Auckland, leap day, new year, and an ordinary month.
NOWS = [
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime(2026, 4, 5, 15, 0, tzinfo=UTC),
    datetime(2026, 9, 27, 13, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 0, tzinfo=UTC),
    datetime(2028, 3, 1, 0, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 45, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 11, 22, 12, 7, 3, tzinfo=UTC),
]
OUTCOMES = {"issued": ["issued"], "refused": ["refused"], "all": ["issued", "refused"]}


@st.composite
def situations(draw: Any) -> dict[str, Any]:
    """A time, a zone, a query, and events near the boundaries that matter to it."""
    now = draw(st.sampled_from(NOWS))
    zone = draw(st.sampled_from(ZONES))
    days = draw(st.integers(1, 90))
    today = now.astimezone(ZoneInfo(zone)).date()
    edges = [today, today - timedelta(days=days - 1), today.replace(day=1)]
    edges += [now.date(), now.date().replace(day=1), now.date() - timedelta(days=days - 1)]
    midnights = [
        datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(name))
        for day in edges
        for name in (zone, "UTC")
    ]
    near = st.builds(
        lambda base, shift: base.astimezone(UTC) + shift,
        st.sampled_from([*midnights, now]),
        st.sampled_from(
            [timedelta(microseconds=n) for n in (-1, 0, 1)]
            + [timedelta(minutes=n) for n in (-60, -45, -15, 15, 30, 60, 120, 180)]
        ),
    )
    anywhere = st.builds(
        lambda seconds: now - timedelta(seconds=seconds), st.integers(0, 95 * 86400)
    )
    events = draw(
        st.lists(
            st.tuples(
                near | anywhere,
                st.sampled_from(["issued", "issued", "refused", "introspected", "revoked"]),
                st.integers(0, 2),  # agent
                st.integers(0, 2),  # credential, or none
                st.sampled_from([1, 1, 2, 5]),  # requests that the row stands for
            ),
            max_size=25,
        )
    )
    return {
        "now": now,
        "zone": zone,
        "days": days,
        "events": events,
        "outcome": draw(st.sampled_from(list(OUTCOMES))),
        "narrow": draw(st.sampled_from([(), ("agentId",), ("agentId", "credentialId")])),
        "session_zone": draw(st.sampled_from(ZONES)),
    }


class Setting:
    """Two organizations with agents and credentials; the other one's events must never count."""

    def __init__(self, organization: Organization, other: Organization) -> None:
        self.organization, self.other = organization, other
        self.agents = [make_agent(organization) for _ in range(3)]
        self.credentials = [[make_credential(a)[0], make_credential(a)[0]] for a in self.agents]
        foreign = make_agent(other)
        with organization_scope(other):
            TokenEvent.objects.bulk_create([event(foreign, now) for now in NOWS])
        self.tokens: dict[datetime, str] = {}

    def sign_in(self) -> None:
        """Sign in with a token issued at the current time of the test; each is signed once."""
        now = timezone.now()
        if now not in self.tokens:
            self.tokens[now] = sign_agent_token(
                agent_id=self.agents[0].pk,
                organization_id=self.organization.pk,
                credential_id=self.credentials[0][0].pk,
                scope="",
                token_id=new_token_id(),
                issued_at=int(now.timestamp()),
                generation=0,
                algorithm=self.organization.signing_algorithm,
            )
        self.client = Client(headers={"Authorization": f"Bearer {self.tokens[now]}"})

    def ask(self, path: str, **parameters: Any) -> Any:
        response = self.client.get(f"/api/v1/analytics/{path}?{urlencode(parameters)}")
        assert response.status_code == 200, response.content
        return json.loads(response.content)["data"]

    def count(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        with organization_scope(self.organization), connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()


@pytest.fixture
def setting(organization: Organization, other_organization: Organization) -> Setting:
    make_timeless_key()
    return Setting(organization, other_organization)


def fill(setting: Setting, case: dict[str, Any]) -> None:
    """Insert the first half of the events in one statement, the rest one by one. A quarter of them
    stands for more requests afterwards."""
    rows = []
    for at, outcome, agent, credential, times in case["events"]:
        fields = {"outcome": outcome, "times": times}
        fields["credential"] = setting.credentials[agent][credential] if credential < 2 else None
        rows.append(event(setting.agents[agent], at, **fields))
    half = len(rows) // 2
    with organization_scope(setting.organization):
        TokenEvent.objects.bulk_create(rows[:half])
        for row in rows[half:]:
            row.save(force_insert=True)
        grown = [row.pk for row in rows[half // 2 : half + half // 2]]
        TokenEvent.objects.filter(pk__in=grown).update(times=F("times") + 3)


@given(case=situations())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_number_equals_a_recount(setting: Setting, case: dict[str, Any]) -> None:
    try:
        with transaction.atomic(), time_machine.travel(case["now"], tick=False):
            setting.sign_in()
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('TimeZone', %s, true)", [case["session_zone"]])
            fill(setting, case)
            check_trend(setting, case)
            check_heatmap(setting, case)
            check_month(setting, case)
            assert rebuild_rollups(setting.organization) == ()
            raise Rollback
    except Rollback:
        pass


class Rollback(Exception):
    """Roll back the events of one example."""


NARROWED = (
    "(%(agentId)s::uuid IS NULL OR agent_id = %(agentId)s::uuid) AND "
    "(%(credentialId)s::uuid IS NULL OR credential_id = %(credentialId)s::uuid)"
)


def question(setting: Setting, case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same query as parameters of the API and of the recount."""
    values = {
        "agentId": str(setting.agents[1].pk),
        "credentialId": str(setting.credentials[1][0].pk),
    }
    chosen = {name: values[name] for name in case["narrow"]}
    asked = {"days": case["days"], "tz": case["zone"], "outcome": case["outcome"], **chosen}
    counted = {"zone": case["zone"], "outcomes": OUTCOMES[case["outcome"]]}
    return asked, {"agentId": None, "credentialId": None} | chosen | counted


def check_trend(setting: Setting, case: dict[str, Any]) -> None:
    asked, counted = question(setting, case)
    sql = (
        "SELECT (created_at AT TIME ZONE %(zone)s)::date, sum(times) FROM tokens_tokenevent "
        "WHERE outcome = ANY(%(outcomes)s) AND " + NARROWED + " GROUP BY 1"
    )
    expected = dict(setting.count(sql, counted))
    today = case["now"].astimezone(ZoneInfo(case["zone"])).date()
    dates = [today - timedelta(days=n) for n in reversed(range(case["days"]))]

    data = setting.ask("tokens", **asked)

    assert [row["date"] for row in data] == [day.isoformat() for day in dates]
    assert [row["count"] for row in data] == [expected.get(day, 0) for day in dates]


def check_heatmap(setting: Setting, case: dict[str, Any]) -> None:
    asked, counted = question(setting, case)
    today = case["now"].astimezone(ZoneInfo(case["zone"])).date()
    counted |= {"first": today - timedelta(days=case["days"] - 1), "last": today}
    sql = (
        "SELECT extract(dow FROM local)::int, extract(hour FROM local)::int, sum(times) "
        "FROM (SELECT created_at AT TIME ZONE %(zone)s AS local, * FROM tokens_tokenevent) event "
        "WHERE outcome = ANY(%(outcomes)s) AND local::date BETWEEN %(first)s AND %(last)s AND "
        + NARROWED
        + " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    expected = setting.count(sql, counted)

    data = setting.ask("agents/activity", **asked)

    assert [(cell["dow"], cell["hour"], cell["count"]) for cell in data] == expected


def check_month(setting: Setting, case: dict[str, Any]) -> None:
    today: date = case["now"].astimezone(ZoneInfo(case["zone"])).date()
    before = today.replace(day=1) - timedelta(days=1)
    for month in (f"{today:%Y-%m}", f"{before:%Y-%m}"):
        expected = setting.count(
            "SELECT agent_id, sum(times) FROM tokens_tokenevent WHERE outcome = 'issued' "
            "AND to_char(created_at AT TIME ZONE %(zone)s, 'YYYY-MM') = %(month)s "
            "GROUP BY 1 ORDER BY 2 DESC, 1",
            {"zone": case["zone"], "month": month},
        )

        data = setting.ask("agents", tz=case["zone"], month=month)

        assert [(row["agentId"], row["tokenCount"]) for row in data] == [
            (str(agent_id), count) for agent_id, count in expected
        ]
