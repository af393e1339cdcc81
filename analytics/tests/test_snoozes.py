"""What a snooze hides: one finding, not what follows it."""

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest

from analytics.findings.codes import BAD, EXPIRED, WARN
from analytics.findings.finding import Finding
from analytics.findings.snoozes import Snoozes
from analytics.models import FindingSnooze

AGENT, CREDENTIAL, DAY = uuid4(), uuid4(), date(2026, 3, 2)


def a_finding(code: str, severity: str = WARN, *dates: date) -> Finding:
    return Finding(
        code,
        severity,
        "It",
        "did.",
        agent_id=AGENT,
        credential_id=CREDENTIAL,
        dates=dates or (DAY,),
    )


def snoozes_of(finding: Finding) -> Snoozes:
    key = (finding.kind, finding.agent_id, finding.credential_id)
    row = FindingSnooze(
        kind=finding.kind,
        agent_id=finding.agent_id,
        credential_id=finding.credential_id,
        day=finding.day,
        severity=finding.severity,
    )
    return Snoozes({key: [row]})


SPIKE = a_finding("token_spike", BAD)
EXPIRING = a_finding("credential_expiring")
SILENCE = replace(a_finding("silent_day", BAD), agent_id=None, credential_id=None)
REFUSALS = a_finding("refusals_rising")


@pytest.mark.parametrize(
    ("seen", "later"),
    [
        (SPIKE, replace(SPIKE, text="did more.", numbers={"tokenCount": 9})),
        (REFUSALS, replace(REFUSALS, dates=(date(2026, 3, 4),))),
        (SILENCE, replace(SILENCE, dates=(DAY, date(2026, 3, 3), date(2026, 3, 4)))),
        (SILENCE, replace(SILENCE, severity=WARN)),
    ],
)
def test_the_same_finding_stays_hidden(seen: Finding, later: Finding) -> None:
    (found,) = snoozes_of(seen).marked([later])

    assert found.snooze is not None


@pytest.mark.parametrize(
    ("seen", "later"),
    [
        (SPIKE, replace(SPIKE, dates=(date(2026, 3, 3),))),
        (SPIKE, replace(SPIKE, credential_id=UUID(int=1))),
        (SPIKE, replace(SPIKE, agent_id=UUID(int=1))),
        (SPIKE, replace(SPIKE, code="dominant_agent")),
        (EXPIRING, replace(EXPIRING, severity=BAD)),
        (EXPIRING, replace(EXPIRING, exact_kind=EXPIRED)),
    ],
)
def test_another_or_a_worse_one_is_shown(seen: Finding, later: Finding) -> None:
    (found,) = snoozes_of(seen).marked([later])

    assert found.snooze is None
