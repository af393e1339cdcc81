"""What the rules of findings.py look at, read with few queries inside the organization's scope."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from agents.models import Agent
from analytics.findings import (
    EXPIRED_WITHIN,
    JUDGED_DAYS,
    LOOK_BACK,
    REFUSED_MINIMUM,
    CredentialRecord,
    Finding,
    Records,
    judge,
)
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage
from analytics.periods import DAY
from organizations.models import Organization
from tokens.models import Credential, TokenEvent


def findings_of(organization: Organization, now: datetime | None = None) -> tuple[Finding, ...]:
    """What deserves a look at this organization's agents, the worst first."""
    return judge(read_records(organization, now or timezone.now()))


def findings_of_agent(agent: Agent, now: datetime | None = None) -> tuple[Finding, ...]:
    """What deserves a look at this agent; reads no other agent's days."""
    records = read_records(agent.organization, now or timezone.now(), agent)
    return tuple(finding for finding in judge(records) if finding.agent_id == agent.pk)


def read_records(organization: Organization, now: datetime, agent: Agent | None = None) -> Records:
    """The organization's records; with `agent`, days and credentials of that one alone."""
    agents = Agent.objects.for_organization(organization)
    if agent is not None:
        agents = agents.filter(pk=agent.pk)
    names = {
        agent_id: email.partition("@")[0] for agent_id, email in agents.values_list("pk", "email")
    }
    records = Records(now=now, names=names, month=_month(organization, now.date()))
    _read_days(organization, records, agent)
    credentials = list(
        Credential.objects.for_organization(organization)
        .filter(**({"agent": agent} if agent is not None else {}))
        .values(
            *("id", "agent_id", "secret_hint", "created_at", "expires_at", "last_used_at"),
            *("status", "agent__status"),
        )
    )
    records.hints = {row["id"]: row["secret_hint"] for row in credentials}
    records.credentials = _in_service(organization, credentials, now)
    records.reasons = _reasons(organization, records)
    return records


def _month(organization: Organization, today: date) -> dict[UUID, int]:
    months = AgentMonthUsage.objects.for_organization(organization).filter(
        month=today.replace(day=1), issued__gt=0
    )
    return dict(months.exclude(agent_id=NOBODY).values_list("agent_id", "issued"))


def _read_days(organization: Organization, records: Records, agent: Agent | None) -> None:
    rows = (
        AgentDayUsage.objects.for_organization(organization)
        .filter(day__gt=records.today - (JUDGED_DAYS + LOOK_BACK) * DAY, day__lte=records.today)
        .exclude(agent_id=NOBODY)
        .values_list("agent_id", "credential_id", "day", "issued", "refused")
    )
    if agent is not None:
        rows = rows.filter(agent_id=agent.pk)
    for agent_id, credential_id, day, issued, refused in rows.iterator():
        for table, count in ((records.issued, issued), (records.refused, refused)):
            if count:
                table[agent_id][day] = table[agent_id].get(day, 0) + count
        if issued and credential_id != NOBODY:
            records.by_credential[agent_id, day][credential_id] = issued


def _in_service(
    organization: Organization, credentials: Iterable[dict[str, Any]], now: datetime
) -> tuple[CredentialRecord, ...]:
    """Credentials that are not revoked, of active agents, with what was refused after their end."""
    names = ("id", "agent_id", "secret_hint", "created_at", "expires_at", "last_used_at")
    kept = [
        CredentialRecord(**{name: row[name] for name in names})
        for row in credentials
        if row["status"] == Credential.Status.ACTIVE
        and row["agent__status"] == Agent.Status.ACTIVE
        and (row["expires_at"] is None or row["expires_at"] > now - EXPIRED_WITHIN)
    ]
    over = [record for record in kept if record.expires_at and record.expires_at <= now]
    tried = Counter(
        dict(
            TokenEvent.objects.for_organization(organization)
            .filter(
                agent_id__in={record.agent_id for record in over},
                credential_id__in=[record.id for record in over],
                reason=TokenEvent.Reason.CREDENTIAL_EXPIRED,
                created_at__gt=now - EXPIRED_WITHIN,
            )
            .values_list("credential_id")
            .annotate(count=Count("id"))
            .order_by()
        )
    )
    return tuple(replace(record, refused_since_expiry=tried[record.id]) for record in kept)


def _reasons(organization: Organization, records: Records) -> dict[UUID, str]:
    """The most frequent reason in the last week, of agents that were refused often."""
    first = records.today - 6 * DAY
    often = [
        agent_id
        for agent_id, days in records.refused.items()
        if sum(count for day, count in days.items() if day >= first) >= REFUSED_MINIMUM
    ]
    rows = (
        TokenEvent.objects.for_organization(organization)
        .filter(
            agent_id__in=often,
            outcome=TokenEvent.Outcome.REFUSED,
            created_at__gte=datetime.combine(first, datetime.min.time(), tzinfo=records.now.tzinfo),
        )
        .values_list("agent_id", "reason")
        .annotate(count=Count("id"))
        .order_by()
    )
    counts: dict[UUID, list[tuple[int, str]]] = defaultdict(list)
    for agent_id, reason, count in rows:
        counts[agent_id].append((count, reason))
    labels = dict(TokenEvent.Reason.choices)
    return {agent_id: str(labels.get(max(found)[1], "")) for agent_id, found in counts.items()}
