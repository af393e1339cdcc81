"""The rules that find what deserves attention, with the numbers behind it. Days are UTC days.

The rules are functions of plain tables (`Records`), so that each can be tested on a table small
enough to add up by hand. They ignore small numbers on purpose. records.py reads only data that can
lead to a finding: when you change a rule, change its candidates there.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

from django.conf import settings

from analytics.findings.codes import BAD, CODES, EXPIRED, WARN
from analytics.findings.finding import Finding
from analytics.findings.records import JUDGED_DAYS, LOOK_BACK, CredentialRecord, Records
from analytics.findings.words import day_text, percent_text, span_text, times_text
from core.days import DAY
from core.formatting import counted

SILENT_USUAL, SILENT_WEEKS = 20, 4
DOMINANT_SHARE, DOMINANT_TOTAL, DOMINANT_AGENTS = 0.8, 500, 3
REFUSED_MINIMUM, REFUSED_FACTOR, REFUSED_SHARE = 30, 3, 0.05
UNUSED_AFTER, NEVER_USED_AFTER = timedelta(days=30), timedelta(days=7)
EXPIRING_WITHIN, EXPIRED_WITHIN = timedelta(days=7), timedelta(days=30)


def judge(records: Records) -> tuple[Finding, ...]:
    """All findings, the most severe first, in a stable order."""
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
    """Days on which an agent got far more than the median of its busy days before."""
    for peak in records.peaks:
        carriers = records.by_credential.get((peak.agent_id, peak.day), {})
        credential_id, carried = max(
            carriers.items(), key=lambda item: (item[1], str(item[0])), default=(None, 0)
        )
        hint = records.hints.get(credential_id, "") if credential_id else ""
        share = carried / peak.count
        detail = "A retry loop or a leaked secret."
        if hint:
            detail += f" {percent_text(share)} came with credential …{hint}."
        yield Finding(
            *("token_spike", BAD, records.name(peak.agent_id)),
            f"asked for {peak.count:,} tokens on {day_text(peak.day)}, "
            f"{times_text(peak.factor)} its typical day.",
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
            short=f"{times_text(peak.factor)} its typical day on {day_text(peak.day)}",
        )


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
    when = (
        f"on {day_text(run[0])}"
        if len(run) == 1
        else f"from {day_text(run[0])} to {day_text(run[-1])}"
    )
    until = "" if is_over else ", and none since"
    weekday = f"{run[-1]:%A}"
    return Finding(
        *("silent_day", WARN if is_over else BAD, "No agent"),
        f"got a token {when}{until}.",
        f"A typical {weekday} has {usual:,.0f}. A deployment that failed, or an expired secret.",
        dates=tuple(run),
        numbers={"usualDay": usual, "days": len(run)},
        rows={"date": run[0]},
        short=f"no token {when}",
    )


def _usual_weekday(totals: Mapping[date, int], day: date) -> float:
    return median(totals.get(day - 7 * week * DAY, 0) for week in range(1, SILENT_WEEKS + 1))


def dominant_agents(records: Records) -> Iterator[Finding]:
    """Agents with more than four fifths of the month's tokens."""
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
                f"Is it caching its token? One is good for {span_text(lifetime)}; "
                f"it asks every {span_text(interval)}."
            )
        yield Finding(
            *("dominant_agent", WARN, records.name(agent_id)),
            f"makes {percent_text(share)} of this month's tokens.",
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
            short=f"{percent_text(share)} of this month's tokens",
        )


def risen_refusals(records: Records) -> dict[UUID, tuple[int, float, float]]:
    """Agents that are refused several times as often as in the weeks before: the refusals of the
    last 7 days, those of a usual week, and the share of the week's requests that was refused.
    """
    first = records.today - 6 * DAY
    found = {}
    for agent_id, days in records.refused.items():
        week = sum(count for day, count in days.items() if day >= first)
        before = [count for day, count in days.items() if first - LOOK_BACK * DAY <= day < first]
        usual = sum(before) / (LOOK_BACK / 7)
        issued = records.issued.get(agent_id, {})
        granted = sum(count for day, count in issued.items() if day >= first)
        share = week / (week + granted) if week else 0
        if week >= max(REFUSED_MINIMUM, REFUSED_FACTOR * usual) and share >= REFUSED_SHARE:
            found[agent_id] = week, usual, share
    return found


def rising_refusals(records: Records) -> Iterator[Finding]:
    first = records.today - 6 * DAY
    for agent_id, (week, usual, share) in risen_refusals(records).items():
        reason = records.reasons.get(agent_id, "")
        yield Finding(
            *("refusals_rising", WARN, records.name(agent_id)),
            f"was refused {week:,} times in the last 7 days; {usual:,.0f} a week is typical.",
            f"Mostly: {reason.lower()}." if reason else "",
            agent_id=agent_id,
            dates=(first, records.today),
            numbers={"refusedCount": week, "usualWeek": usual, "share": round(share, 3)},
            rows={"agent": agent_id, "days": 7, "outcome": "refused"},
            short=f"refused {week:,} times in 7 days",
        )


def expiring(records: Records) -> Iterator[Finding]:
    """Credentials in use that end within a week, or are still tried after their end."""
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
                f"uses credential …{credential.secret_hint}, which expires {when}, "
                f"on {day_text(end)}.",
                "Rotate it: the new secret gets a new end. Or create its successor first.",
                **_about(credential),
                dates=(end.date(),),
                numbers={"hoursLeft": int(left.total_seconds() // 3600)},
                short=f"secret expires {when}",
            )


def _expired(records: Records, credential: CredentialRecord, end: datetime) -> Finding:
    refused = credential.refused_since_expiry
    return Finding(
        *("credential_expiring", BAD, records.name(credential.agent_id)),
        f"still uses credential …{credential.secret_hint}, which expired on {day_text(end)}: "
        f"{counted(refused, 'requests')} refused.",
        "Give it a new secret.",
        **_about(credential),
        dates=(end.date(),),
        numbers={"refusedCount": refused, "hoursLeft": 0},
        short="uses an expired secret",
        exact_kind=EXPIRED,
    )


def unused(records: Records) -> Iterator[Finding]:
    """Live secrets that are not used."""
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
            "Revoke it, so that it cannot leak.",
            **_about(credential),
            dates=((used or credential.created_at).date(),),
            numbers={"days": age.days, "neverUsed": used is None},
            short=f"secret unused for {age.days} days" if used else "secret never used",
        )


def _about(credential: CredentialRecord) -> dict[str, Any]:
    return {
        "agent_id": credential.agent_id,
        "credential_id": credential.id,
        "secret_hint": credential.secret_hint,
    }
