"""What deserves a look, each with the numbers behind it. Days are UTC days.

The rules are functions of plain tables (`Records`), so that a table small enough to add up by hand
proves each of them. They are made to keep quiet about small numbers. records.py reads no more than
what they can name: who changes a rule changes its candidates there.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from statistics import median
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from analytics.periods import DAY
from core.formatting import counted, percent

BAD, WARN = "bad", "warn"
CODES = (
    "token_spike",
    "silent_day",
    "credential_expiring",
    "refusals_rising",
    "dominant_agent",
    "credential_unused",
)
"""In the order in which findings of one severity are named."""

JUDGED_DAYS = 14
"""Findings about days look at this many days, today included."""
LOOK_BACK = 28
"""What was usual is taken from as many days before each of them."""

SPIKE_MINIMUM, SPIKE_FACTOR, SPIKE_KNOWN_DAYS = 100, 5, 5
SILENT_USUAL, SILENT_WEEKS = 20, 4
DOMINANT_SHARE, DOMINANT_TOTAL, DOMINANT_AGENTS = 0.8, 500, 3
REFUSED_MINIMUM, REFUSED_FACTOR, REFUSED_SHARE = 30, 3, 0.05
UNUSED_AFTER, NEVER_USED_AFTER = timedelta(days=30), timedelta(days=7)
EXPIRING_WITHIN, EXPIRED_WITHIN = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True)
class Finding:
    """`subject` and `text` make the sentence, `detail` says what it may mean."""

    code: str
    severity: str
    subject: str
    text: str
    detail: str = ""
    agent_id: UUID | None = None
    credential_id: UUID | None = None
    secret_hint: str = ""
    dates: tuple[date, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, object] = field(default_factory=dict)
    """Filters that show the token requests behind it; without them its agent's page does."""

    @property
    def link(self) -> str:
        """The page with the rows behind it."""
        if self.rows:
            return f"{reverse('tokens:list')}?{urlencode(self.rows)}"
        return reverse("agents:detail", args=[self.agent_id])

    @property
    def message(self) -> str:
        return f"{self.subject} {self.text}".strip()

    @property
    def agent_name(self) -> str:
        return self.subject if self.agent_id else ""


@dataclass(frozen=True)
class CredentialRecord:
    """A credential that is neither revoked nor of an agent that is out of service."""

    id: UUID
    agent_id: UUID
    secret_hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    refused_since_expiry: int = 0


@dataclass(frozen=True)
class Peak:
    """The day of an agent that stands out most from its typical day."""

    agent_id: UUID
    day: date
    count: int
    usual: float
    days: int
    """How many of its days stand out."""

    @property
    def factor(self) -> float:
        return self.count / self.usual


@dataclass
class Records:
    """What the rules look at: counts by day of those agents that they could name."""

    now: datetime
    names: dict[UUID, str] = field(default_factory=dict)
    totals: Mapping[date, int] = field(default_factory=dict)
    """Tokens issued to all agents."""
    issued: Mapping[UUID, Mapping[date, int]] = field(default_factory=dict)
    refused: Mapping[UUID, Mapping[date, int]] = field(default_factory=dict)
    by_credential: dict[tuple[UUID, date], dict[UUID, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    month: Mapping[UUID, int] = field(default_factory=dict)
    """Tokens of the running month, of the agents with the most."""
    month_total: int = 0
    """Tokens of the running month, of all agents."""
    credentials: tuple[CredentialRecord, ...] = ()
    unread: int = 0
    """Unused credentials that were left out because nobody asked for more."""
    hints: Mapping[UUID, str] = field(default_factory=dict)
    reasons: Mapping[UUID, str] = field(default_factory=dict)
    """The most frequent reason of an agent's refusals in the last week, as a label."""

    @property
    def today(self) -> date:
        return self.now.date()

    def name(self, agent_id: UUID) -> str:
        return self.names.get(agent_id, str(agent_id))

    @cached_property
    def peaks(self) -> tuple[Peak, ...]:
        return tuple(filter(None, (_peak(self, *days) for days in self.issued.items())))


def judge(records: Records) -> tuple[Finding, ...]:
    """All findings, the worst first, always in the same order."""
    found = [
        *spikes(records),
        *silent_days(records),
        *expiring(records),
        *rising_refusals(records),
        *dominant_agents(records),
        *unused(records),
    ]
    return tuple(sorted(found, key=_order))


def _order(finding: Finding) -> tuple[Any, ...]:
    newest = -max(finding.dates).toordinal() if finding.dates else 0
    place = (finding.severity != BAD, CODES.index(finding.code), newest)
    return (*place, finding.subject, str(finding.agent_id), str(finding.credential_id))


def spikes(records: Records) -> Iterator[Finding]:
    """An agent's day far above its usual day: the median of its busy days before."""
    for peak in records.peaks:
        carriers = records.by_credential.get((peak.agent_id, peak.day), {})
        credential_id, carried = max(
            carriers.items(), key=lambda item: (item[1], str(item[0])), default=(None, 0)
        )
        hint = records.hints.get(credential_id, "") if credential_id else ""
        share = carried / peak.count
        detail = "A retry loop or a leaked secret."
        if hint:
            detail += f" {_percent(share)} came with credential …{hint}."
        yield Finding(
            *("token_spike", BAD, records.name(peak.agent_id)),
            f"asked for {peak.count:,} tokens on {_day(peak.day)}, "
            f"{_times(peak.factor)} its typical day.",
            detail,
            agent_id=peak.agent_id,
            credential_id=credential_id,
            secret_hint=hint,
            dates=(peak.day,),
            numbers={
                "tokenCount": peak.count,
                "usualDay": peak.usual,
                "factor": round(peak.factor, 1),
                "credentialShare": round(share, 3),
                "days": peak.days,
            },
            rows={"agent": peak.agent_id, "date": peak.day, "outcome": "issued"},
        )


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
    """No judged day's usual day is lower: spares most agents from having it taken day by day.

    At most JUDGED_DAYS of the known days lie outside of a look back; half of the others, but no
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


def silent_days(records: Records) -> Iterator[Finding]:
    """Whole days without a token where the same weekday usually has many."""
    totals = records.totals
    run: list[date] = []
    for back in range(JUDGED_DAYS - 1, -1, -1):
        day = records.today - back * DAY
        if back and not totals.get(day) and _usual_weekday(totals, day) >= SILENT_USUAL:
            run.append(day)
        elif run and (totals.get(day) or not back):
            yield _silence(run, totals, is_over=any(totals.get(d) for d in _days_after(run, day)))
            run = []


def _days_after(run: list[date], last: date) -> list[date]:
    return [run[-1] + n * DAY for n in range(1, (last - run[-1]).days + 1)]


def _silence(run: list[date], totals: Mapping[date, int], *, is_over: bool) -> Finding:
    usual = _usual_weekday(totals, run[-1])
    when = f"on {_day(run[0])}" if len(run) == 1 else f"from {_day(run[0])} to {_day(run[-1])}"
    until = "" if is_over else ", and none since"
    weekday = f"{run[-1]:%A}"
    return Finding(
        *("silent_day", WARN if is_over else BAD, "No agent"),
        f"got a token {when}{until}.",
        f"A typical {weekday} has {usual:,.0f}. A deployment that failed, or an expired secret.",
        dates=tuple(run),
        numbers={"usualDay": usual, "days": len(run)},
        rows={"date": run[0]},
    )


def _usual_weekday(totals: Mapping[date, int], day: date) -> float:
    return median(totals.get(day - 7 * week * DAY, 0) for week in range(1, SILENT_WEEKS + 1))


def dominant_agents(records: Records) -> Iterator[Finding]:
    """One agent with more than four fifths of the month's tokens."""
    total = records.month_total
    if total < DOMINANT_TOTAL or len(records.month) < DOMINANT_AGENTS:
        return
    for agent_id, count in records.month.items():
        share = count / total
        if share <= DOMINANT_SHARE:
            continue
        first = records.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        interval = (records.now - first).total_seconds() / count
        lifetime = settings.ACCESS_TOKEN_LIFETIME.total_seconds()
        detail = ""
        if interval < lifetime / 2:
            detail = (
                f"Is it caching its token? One is good for {_span(lifetime)}; "
                f"it asks every {_span(interval)}."
            )
        yield Finding(
            *("dominant_agent", WARN, records.name(agent_id)),
            f"makes {_percent(share)} of this month's tokens.",
            detail,
            agent_id=agent_id,
            dates=(first.date(), records.today),
            numbers={
                "tokenCount": count,
                "total": total,
                "share": round(share, 3),
                "secondsBetween": round(interval, 1),
            },
            rows={"agent": agent_id, "days": records.today.day, "outcome": "issued"},
        )


def rising_refusals(records: Records) -> Iterator[Finding]:
    """An agent that is refused several times as often as in the weeks before."""
    first = records.today - 6 * DAY
    for agent_id, days in records.refused.items():
        week = sum(count for day, count in days.items() if day >= first)
        before = [count for day, count in days.items() if first - LOOK_BACK * DAY <= day < first]
        usual = sum(before) / (LOOK_BACK / 7)
        issued = records.issued.get(agent_id, {})
        granted = sum(count for day, count in issued.items() if day >= first)
        share = week / (week + granted) if week else 0
        if week < max(REFUSED_MINIMUM, REFUSED_FACTOR * usual) or share < REFUSED_SHARE:
            continue
        reason = records.reasons.get(agent_id, "")
        yield Finding(
            *("refusals_rising", WARN, records.name(agent_id)),
            f"was refused {week:,} times in the last 7 days; {usual:,.0f} a week is typical.",
            f"Mostly: {reason.lower()}." if reason else "",
            agent_id=agent_id,
            dates=(first, records.today),
            numbers={"refusedCount": week, "usualWeek": usual, "share": round(share, 3)},
            rows={"agent": agent_id, "days": 7, "outcome": "refused"},
        )


def expiring(records: Records) -> Iterator[Finding]:
    """A credential in use that ends within a week, or that is still tried after its end."""
    for credential in records.credentials:
        end, used = credential.expires_at, credential.last_used_at
        if end is None or not used:
            continue
        left = end - records.now
        if left <= timedelta():
            if credential.refused_since_expiry:
                yield _expired(records, credential, end)
        elif left <= EXPIRING_WITHIN and records.now - used <= UNUSED_AFTER:
            days = (end.date() - records.today).days
            when = ("today", "tomorrow")[days] if days < 2 else f"in {days} days"
            yield Finding(
                *(
                    "credential_expiring",
                    BAD if left < DAY else WARN,
                    records.name(credential.agent_id),
                ),
                f"uses credential …{credential.secret_hint}, which expires {when}, on {_day(end)}.",
                "Rotate it: the new secret gets a new end. Or create its successor first.",
                **_about(credential),
                dates=(end.date(),),
                numbers={"hoursLeft": int(left.total_seconds() // 3600)},
            )


def _expired(records: Records, credential: CredentialRecord, end: datetime) -> Finding:
    refused = credential.refused_since_expiry
    return Finding(
        *("credential_expiring", BAD, records.name(credential.agent_id)),
        f"still uses credential …{credential.secret_hint}, which expired on {_day(end)}: "
        f"{counted(refused, 'requests')} refused.",
        "Give it a new secret.",
        **_about(credential),
        dates=(end.date(),),
        numbers={"refusedCount": refused, "hoursLeft": 0},
    )


def unused(records: Records) -> Iterator[Finding]:
    """A live secret that nobody needs."""
    for credential in records.credentials:
        is_over = credential.expires_at is not None and credential.expires_at <= records.now
        used = credential.last_used_at
        age = records.now - (used or credential.created_at)
        if is_over or age <= (UNUSED_AFTER if used else NEVER_USED_AFTER):
            continue
        text = f"has not used credential …{credential.secret_hint} for {age.days} days."
        if not used:
            text = f"has never used credential …{credential.secret_hint}, made {age.days} days ago."
        yield Finding(
            *("credential_unused", WARN, records.name(credential.agent_id)),
            text,
            "Revoke it: what does not exist cannot leak.",
            **_about(credential),
            dates=((used or credential.created_at).date(),),
            numbers={"days": age.days, "neverUsed": used is None},
        )


def _about(credential: CredentialRecord) -> dict[str, Any]:
    return {
        "agent_id": credential.agent_id,
        "credential_id": credential.id,
        "secret_hint": credential.secret_hint,
    }


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _percent(share: float) -> str:
    return percent(round(100 * share) or 100 * share)


def _times(factor: float) -> str:
    return f"{factor:,.0f}\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}"


def _span(seconds: float) -> str:
    """A duration in whole seconds, or in minutes from two of them on."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    whole = max(1, round(seconds))
    return "second" if whole == 1 else f"{whole} seconds"
