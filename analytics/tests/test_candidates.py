"""Reading only candidates gives the same findings as reading everything."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.findings.codes import CODES
from analytics.findings.records import CredentialRecord, Records
from analytics.findings.rules import (
    EXPIRED_WITHIN,
    EXPIRING_WITHIN,
    NEVER_USED_AFTER,
    UNUSED_AFTER,
    judge,
)
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage, HourUsage
from analytics.records import (
    findings_among,
    findings_of,
    findings_of_agent,
    read_records,
    worst_findings,
)
from analytics.tests.factories import event
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import Credential, TokenEvent
from tokens.tests.factories import make_credential

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
KNOWN_DAYS = 42
NOWS = [
    datetime(2026, 11, 20, 12, tzinfo=UTC),
    datetime(2026, 12, 1, 0, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
]
LEVELS = [0, 1, 3, 8, 20, 21, 40, 100, 150, 700]
"""Tokens on an agent's usual day."""
FACTORS = [0, 0.2, 1, 1, 1, 1, 1, 1, 1.4, 2.5, 4.9, 5, 5.1, 14]
"""Factors by which an unusual day differs."""
REFUSALS = [0, 0, 0, 0, 1, 4, 5, 29, 30, 31]
LIMITS = [UNUSED_AFTER, NEVER_USED_AFTER, EXPIRED_WITHIN, timedelta(hours=5)]


def near(limits: list[timedelta]) -> st.SearchStrategy[timedelta]:
    """Time spans at a limit, or just within or beyond it."""
    moves = [timedelta(), INSTANT, -INSTANT, DAY, -DAY]
    return st.builds(
        lambda limit, move: limit + move, st.sampled_from(limits), st.sampled_from(moves)
    )


CREDENTIAL = st.fixed_dictionaries(
    {
        "age": near(LIMITS),
        "used": st.none() | near(LIMITS),
        "left": st.none() | near([EXPIRING_WITHIN, timedelta(), -EXPIRED_WITHIN]),
        "status": st.sampled_from([Credential.Status.ACTIVE] * 3 + [Credential.Status.REVOKED]),
        "tried": st.integers(0, 2),
    }
)
AGENT = st.fixed_dictionaries(
    {
        "status": st.sampled_from([Agent.Status.ACTIVE] * 3 + [Agent.Status.SUSPENDED]),
        "credentials": st.lists(CREDENTIAL, max_size=3),
        "level": st.sampled_from(LEVELS),
        "factors": st.lists(st.sampled_from(FACTORS), min_size=7, max_size=KNOWN_DAYS + 3),
        "refusals": st.lists(st.sampled_from(REFUSALS), min_size=7, max_size=7),
        "refusals_before": st.lists(st.sampled_from(REFUSALS), min_size=1, max_size=5),
        "shares": st.lists(st.integers(0, 3), min_size=4, max_size=4),
    }
)
SITUATION = st.fixed_dictionaries(
    {
        "now": st.sampled_from(NOWS),
        "agents": st.lists(AGENT, min_size=1, max_size=5),
        "silent": st.sets(st.integers(0, KNOWN_DAYS), max_size=4),
    }
)


QUIET = {
    "status": Agent.Status.ACTIVE,
    "credentials": [],
    "level": 3,
    "factors": [1] * 7,
    "refusals": [0] * 7,
    "refusals_before": [0],
    "shares": [0, 1, 2, 3],
}
IDLE = {"age": NEVER_USED_AFTER + DAY, "used": None, "left": None, "status": "active", "tried": 0}
ENDING = IDLE | {"used": timedelta(hours=5), "left": timedelta(hours=5)}
ALL_AT_ONCE = {
    "now": NOWS[0],
    "agents": [
        QUIET | {"level": 150, "factors": [14] + [1] * 44, "credentials": [IDLE, ENDING]},
        QUIET | {"refusals": [31] + [0] * 6},
        QUIET,
    ],
    "silent": {3},
}
"""One finding of each code."""
AT_THE_LIMITS = {
    "now": NOWS[0],
    "agents": [
        # The earliest judged day, with the fewest known days before it that suffice.
        QUIET | {"level": 20, "factors": [0] * 13 + [5] + [0] * 23 + [1] * 5},
        QUIET | {"refusals": [0] * 6 + [30], "credentials": [IDLE | {"age": UNUSED_AFTER}]},
        QUIET | {"credentials": [IDLE | {"used": UNUSED_AFTER + INSTANT}]},
        QUIET | {"credentials": [IDLE | {"age": NEVER_USED_AFTER + INSTANT}]},
        QUIET | {"credentials": [ENDING | {"left": EXPIRING_WITHIN}]},
        QUIET | {"credentials": [ENDING | {"left": INSTANT - EXPIRED_WITHIN, "tried": 2}]},
    ],
    "silent": set(),
}
"""Findings that only just reach their limits."""


class Rollback(Exception):
    """Roll back the rows of one example."""


def fill(organization: Organization, situation: dict[str, Any]) -> None:
    """Create agents, credentials and rollups, and a token event for each refusal with a reason."""
    now: datetime = situation["now"]
    counts: Counter[tuple[UUID, UUID, date, str]] = Counter()
    events = []
    for number, case in enumerate(situation["agents"]):
        agent = make_agent(organization, email=f"a{number}@x.example", status=case["status"])
        keys = [NOBODY]
        for fields in case["credentials"]:
            credential = make_credential(
                agent,
                created_at=now - fields["age"],
                last_used_at=fields["used"] and now - fields["used"],
                expires_at=now + fields["left"] if fields["left"] is not None else None,
                status=fields["status"],
            )[0]
            keys.append(credential.pk)
            events += [
                event(agent, now - hours, credential=credential, outcome="refused", reason=reason)
                for hours in (timedelta(hours=1), EXPIRED_WITHIN - INSTANT)[: fields["tried"]]
                for reason in (TokenEvent.Reason.CREDENTIAL_EXPIRED, "wrong_secret")
            ]
        for back in range(KNOWN_DAYS + 3):
            day = now.date() - back * DAY
            factor = case["factors"][back % len(case["factors"])]
            refusals = case["refusals"] if back < 7 else case["refusals_before"]
            refused = refusals[back % len(refusals)]
            issued = 0 if back in situation["silent"] else round(case["level"] * factor)
            for turn, share in enumerate(case["shares"]):
                key = keys[share % len(keys)]
                counts[agent.pk, key, day, "issued"] += (issued + turn) // 4
            counts[agent.pk, NOBODY, day, "refused"] += refused
    store(organization, counts)
    TokenEvent.objects.bulk_create(events)


def store(organization: Organization, counts: Mapping[tuple[UUID, UUID, date, str], int]) -> None:
    days: dict[Any, Counter[str]] = defaultdict(Counter)
    months: dict[Any, Counter[str]] = defaultdict(Counter)
    hours: dict[int, Counter[str]] = defaultdict(Counter)
    for (agent_id, credential_id, day, name), count in counts.items():
        days[day, agent_id, credential_id][name] += count
        months[day.replace(day=1), agent_id][name] += count
        hours[(day - date(1970, 1, 1)).days * 24 + 7][name] += count
    none = {"issued": 0, "refused": 0, "introspected": 0, "revoked": 0}
    more = {"organization": organization, "last_at": datetime(2026, 1, 1, tzinfo=UTC)}
    AgentDayUsage.objects.bulk_create(
        AgentDayUsage(day=day, agent_id=agent, credential_id=key, **more | none | found)
        for (day, agent, key), found in days.items()
    )
    AgentMonthUsage.objects.bulk_create(
        AgentMonthUsage(month=month, agent_id=agent, **more | none | found)
        for (month, agent), found in months.items()
    )
    HourUsage.objects.bulk_create(
        HourUsage(organization=organization, hour=hour, **none | found)
        for hour, found in hours.items()
    )


def read_everything(organization: Organization, now: datetime) -> Records:
    """Read every agent, credential and day, without selecting candidates."""
    today, names = now.date(), {agent.pk: agent.name for agent in Agent.objects.all()}
    issued: dict[UUID, Counter[date]] = defaultdict(Counter)
    refused: dict[UUID, Counter[date]] = defaultdict(Counter)
    totals: Counter[date] = Counter()
    by_credential: dict[Any, dict[UUID, int]] = defaultdict(dict)
    for row in AgentDayUsage.objects.filter(day__gt=today - KNOWN_DAYS * DAY, day__lte=today):
        issued[row.agent_id][row.day] += row.issued
        refused[row.agent_id][row.day] += row.refused
        totals[row.day] += row.issued
        if row.issued and row.credential_id != NOBODY:
            by_credential[row.agent_id, row.day][row.credential_id] = row.issued
    month = AgentMonthUsage.objects.filter(month=today.replace(day=1), issued__gt=0)
    reasons: dict[UUID, Counter[str]] = defaultdict(Counter)
    first = datetime(*(today - 6 * DAY).timetuple()[:3], tzinfo=UTC)
    for found in TokenEvent.objects.filter(outcome="refused", created_at__gte=first):
        reasons[found.agent_id][found.reason] += 1
    labels = dict(TokenEvent.Reason.choices)
    return Records(
        now=now,
        names=names,
        totals=totals,
        issued=issued,
        refused=refused,
        by_credential=by_credential,
        month={row.agent_id: row.issued for row in month},
        month_total=sum(row.issued for row in month),
        credentials=tuple(map(as_record(now), in_service(now))),
        hints={credential.pk: credential.secret_hint for credential in Credential.objects.all()},
        reasons={
            agent_id: labels[max((count, reason) for reason, count in counts.items())[1]]
            for agent_id, counts in reasons.items()
        },
    )


def in_service(now: datetime) -> list[Credential]:
    """The credentials that are not revoked, did not end long ago, and belong to an active agent."""
    return [
        credential
        for credential in Credential.objects.filter(status="active", agent__status="active")
        if credential.expires_at is None or credential.expires_at > now - EXPIRED_WITHIN
    ]


def as_record(now: datetime) -> Any:
    def record(credential: Credential) -> CredentialRecord:
        tried = TokenEvent.objects.filter(
            credential=credential, reason="credential_expired", created_at__gt=now - EXPIRED_WITHIN
        )
        names = ("id", "agent_id", "secret_hint", "created_at", "expires_at", "last_used_at")
        is_over = credential.expires_at is not None and credential.expires_at <= now
        return CredentialRecord(
            **{name: getattr(credential, name) for name in names},
            refused_since_expiry=tried.count() if is_over else 0,
        )

    return record


@pytest.mark.slow
def test_candidates_give_the_findings_of_everything(organization: Organization) -> None:
    seen: set[str] = set()

    @given(situation=SITUATION)
    @example(situation=ALL_AT_ONCE)
    @example(situation=AT_THE_LIMITS)
    @settings(max_examples=25, deadline=None)
    def compare(situation: dict[str, Any]) -> None:
        now = situation["now"]
        try:
            with transaction.atomic(), organization_scope(organization):
                fill(organization, situation)

                expected = judge(read_everything(organization, now))

                assert findings_of(organization, now) == expected
                for most in (0, 1, 2):
                    worst = worst_findings(organization, now, most)
                    found, number = worst.found, worst.number
                    assert (found, number) == (expected[: len(found)], len(expected))
                    assert len(found) >= min(most, number)
                assert all(finding.short for finding in expected)
                some = [agent.pk for agent in Agent.objects.order_by("pk")[::2]]
                theirs = tuple(finding for finding in expected if finding.agent_id in some)
                assert findings_among(organization, some, now) == theirs
                for agent in Agent.objects.all():
                    own = tuple(finding for finding in expected if finding.agent_id == agent.pk)
                    assert findings_of_agent(agent, now) == own
                seen.update(finding.code for finding in expected)
                raise Rollback
        except Rollback:
            pass

    compare()
    assert seen == set(CODES)


def test_reasons_are_read_of_agents_whose_refusals_rise(organization: Organization) -> None:
    """An agent that is always refused may have very many events, and its reason is not shown."""
    rising = QUIET | {"refusals": [31] + [0] * 6}
    usual = QUIET | {"refusals": [31], "refusals_before": [31]}
    now = NOWS[0]
    with organization_scope(organization):
        fill(organization, {"now": now, "agents": [rising, usual], "silent": set()})
        agents = list(Agent.objects.order_by("email"))
        TokenEvent.objects.bulk_create(
            event(agent, now, outcome="refused", reason="wrong_secret") for agent in agents
        )

        assert read_records(organization, now).reasons == {agents[0].pk: "Wrong secret"}


@given(st.lists(st.sampled_from([0, 0, 1, 19, 20, 21, 99, 100, 105, 500]), max_size=KNOWN_DAYS))
@example([21] * 13 + [100] + [1] * 14 + [21] * 14)  # half of the usual days, and all others, high
@settings(max_examples=500, deadline=None)
def test_peaks_equal_a_full_calculation_of_usual_days(last_days: list[int]) -> None:
    """The rule skips agents that cannot have a peak; here no agent is skipped."""
    counts = dict(enumerate(last_days))
    agent_id, today = UUID(int=1), NOWS[0].date()
    expected = []
    for back in range(14):
        count = counts.get(back, 0)
        before = [counts.get(back + n, 0) for n in range(1, 29)]
        busy = [count for count in before if count]
        if count >= 100 and len(busy) >= 5 and count >= 5 * median(busy):
            expected.append((count / median(busy), today - back * DAY, count, median(busy)))

    days = {today - back * DAY: count for back, count in counts.items()}
    found = Records(now=NOWS[0], issued={agent_id: days}).peaks

    highest = sorted(expected)[-1:]
    assert [(peak.factor, peak.day, peak.count, peak.usual) for peak in found] == highest
    assert [peak.days for peak in found] == [len(expected) for _ in highest]
