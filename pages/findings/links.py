"""Where a finding is snoozed, and where the snoozed ones are listed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from analytics.findings.finding import Finding
from core.formatting import counted, day_of
from organizations.actors import Actor, Scope


def may_snooze(actor: Actor) -> bool:
    """Those who may change agents."""
    return actor.may(Scope.AGENTS_READ, Scope.AGENTS_WRITE)


def snooze_url(finding: Finding) -> str:
    query = {
        "code": finding.code,
        "agent": finding.agent_id,
        "credential": finding.credential_id,
        "day": finding.day,
    }
    known = {name: value for name, value in query.items() if value}
    return f"{reverse('findings:snooze')}?{urlencode(known)}"


def snooze_action(finding: Finding) -> dict[str, str]:
    """For components/finding.html."""
    label = "Change the snooze" if finding.snooze else "Snooze"
    return {"label": label, "url": snooze_url(finding), "about": finding.message}


def snoozed_link(snoozed: Sequence[Finding], agent_id: UUID | None = None) -> dict[str, Any] | None:
    """The number of snoozed findings, which leads to their list; None without any."""
    if not snoozed:
        return None
    query = f"?{urlencode({'agent': agent_id})}" if agent_id else ""
    number = f"{len(snoozed):,} snoozed"
    title = f"{counted(len(snoozed), 'findings')} snoozed"
    return {"label": number, "title": title, "url": f"{reverse('findings:snoozed')}{query}"}


def snooze_words(finding: Finding, now: datetime) -> str:
    """Who snoozed it, until when, and why; empty if nobody did."""
    snooze = finding.snooze
    if snooze is None:
        return ""
    return f"Snoozed until {day_of(snooze.until, now)} by {snooze.who}: {snooze.reason}"
