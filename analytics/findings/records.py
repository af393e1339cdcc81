"""The data on which the rules of findings are evaluated."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from statistics import median
from uuid import UUID

from core.days import DAY

JUDGED_DAYS = 14
"""The number of days that findings judge, today included."""
LOOK_BACK = 28
"""The number of days before a judged day from which its usual value is taken."""
SPIKE_MINIMUM, SPIKE_FACTOR, SPIKE_KNOWN_DAYS = 100, 5, 5


@dataclass(frozen=True)
class CredentialRecord:
    """A credential that is not revoked and whose agent is in service."""

    id: UUID
    agent_id: UUID
    secret_hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    refused_since_expiry: int = 0


@dataclass(frozen=True)
class Peak:
    """The day of an agent that differs most from its usual day."""

    agent_id: UUID
    day: date
    count: int
    usual: float
    days: int
    """The number of its days that stand out."""

    @property
    def factor(self) -> float:
        return self.count / self.usual


@dataclass
class Records:
    """The data for the rules: daily counts of the agents that may have a finding."""

    now: datetime
    names: dict[UUID, str] = field(default_factory=dict)
    totals: Mapping[date, int] = field(default_factory=dict)
    """Tokens issued to all agents."""
    issued: Mapping[UUID, Mapping[date, int]] = field(default_factory=dict)
    refused: Mapping[UUID, Mapping[date, int]] = field(default_factory=dict)
    by_credential: dict[tuple[UUID, date], dict[UUID, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    month: dict[UUID, int] = field(default_factory=dict)
    """Tokens of the current month, for the agents with the most."""
    month_total: int = 0
    """Tokens of the current month, for all agents."""
    credentials: tuple[CredentialRecord, ...] = ()
    unread: int = 0
    """The number of unused credentials that were left out because of a limit."""
    hints: Mapping[UUID, str] = field(default_factory=dict)
    reasons: Mapping[UUID, str] = field(default_factory=dict)
    """The most frequent reason for an agent's refusals in the last week, as a label."""

    @property
    def today(self) -> date:
        return self.now.date()

    def name(self, agent_id: UUID) -> str:
        return self.names.get(agent_id, str(agent_id))

    @cached_property
    def peaks(self) -> tuple[Peak, ...]:
        return tuple(filter(None, (_peak(self, *days) for days in self.issued.items())))


def _peak(records: Records, agent_id: UUID, days: Mapping[date, int]) -> Peak | None:
    least = max(SPIKE_MINIMUM, SPIKE_FACTOR * _least_usual_day(days))
    found = [
        (count / usual, day, count, usual)
        for day, count in days.items()
        if count >= least
        and day > records.today - JUDGED_DAYS * DAY
        and (usual := _usual_day(days, day))
        and count >= SPIKE_FACTOR * usual
    ]
    if not found:
        return None
    _, day, count, usual = max(found)
    return Peak(agent_id, day, count, usual, days=len(found))


def _least_usual_day(days: Mapping[date, int]) -> int:
    """A lower bound for the usual day of every judged day, so that most agents need no calculation
    for each day.

    At most JUDGED_DAYS of the known days lie outside a look-back window; half of the others, but no
    fewer than half of SPIKE_KNOWN_DAYS, are at or below its median.
    """
    busy = sorted(count for count in days.values() if count)
    at_or_below = (max(len(busy) - JUDGED_DAYS, SPIKE_KNOWN_DAYS) + 1) // 2
    return busy[at_or_below - 1] if at_or_below <= len(busy) else 0


def _usual_day(days: Mapping[date, int], day: date) -> float:
    """The median of the days with tokens in the weeks before; 0 when too few are known."""
    before = [days.get(day - back * DAY, 0) for back in range(1, LOOK_BACK + 1)]
    busy = [count for count in before if count]
    return median(busy) if len(busy) >= SPIKE_KNOWN_DAYS else 0
