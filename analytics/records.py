"""Reading the data for the rules of findings/ with few queries inside the organization's scope.

PostgreSQL aggregates and selects candidates, so that an agent without findings costs one row of
sums. The limits are those of the rules: a row left out here can lead to no finding.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Count, Func, Q, Sum, Value, Window
from django.db.models.functions import Coalesce, Collate, TruncDate
from django.utils import timezone

from agents.models import Agent
from analytics.agent_usage import NEWEST
from analytics.findings.finding import Finding
from analytics.findings.records import (
    JUDGED_DAYS,
    LOOK_BACK,
    SPIKE_MINIMUM,
    CredentialRecord,
    Records,
)
from analytics.findings.rules import (
    DOMINANT_AGENTS,
    EXPIRED_WITHIN,
    EXPIRING_WITHIN,
    NEVER_USED_AFTER,
    REFUSED_MINIMUM,
    UNUSED_AFTER,
    judge,
    risen_refusals,
)
from analytics.findings.snoozes import Snoozes, apart
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage
from analytics.periods import Period
from analytics.queries import count_by_day
from core.days import DAY, day_start
from organizations.models import Organization, OrganizationScopedQuerySet
from tokens.models import Credential, CredentialQuerySet, TokenEvent

KNOWN_DAYS = JUDGED_DAYS + LOOK_BACK
FEWEST = 200
"""So many events of each agent are looked at for a reason, however many agents share NEWEST."""
LATEST_FIRST = (
    TruncDate(Coalesce("last_used_at", "created_at"), tzinfo=UTC).desc(),
    Collate(Func("agent__email", Value("@"), Value(1), function="SPLIT_PART"), "C"),
    "agent_id",
    "pk",
)
"""The order in which judge() lists unused credentials."""


def findings_of(organization: Organization, now: datetime | None = None) -> tuple[Finding, ...]:
    """The findings about all agents of the organization, the most severe first; those that are
    snoozed say so.
    """
    return _found(organization, now or timezone.now())


@dataclass(frozen=True)
class WorstFindings:
    found: tuple[Finding, ...]
    number: int
    """Of all, without the snoozed ones."""
    snoozed: tuple[Finding, ...]


def worst_findings(organization: Organization, now: datetime, most: int) -> WorstFindings:
    """At least the `most` most severe findings, and the snoozed ones.

    Unused credentials come last and may be very many, so no more than `most` of them are read.
    """
    snoozes = Snoozes.of(organization)
    records = read_records(organization, now, most=most, snoozed=snoozes.unused_credentials)
    found, snoozed = apart(snoozes.marked(judge(records)))
    return WorstFindings(found, len(found) + records.unread, snoozed)


def findings_of_agent(agent: Agent, now: datetime | None = None) -> tuple[Finding, ...]:
    """The findings about this agent, read without other agents' days."""
    return findings_among(agent.organization, [agent.pk], now or timezone.now())


def findings_among(
    organization: Organization, agents: Collection[UUID], now: datetime
) -> tuple[Finding, ...]:
    """The findings about these agents, read without other agents' days."""
    if not agents:
        return ()
    found = _found(organization, now, agents)
    return tuple(finding for finding in found if finding.agent_id in agents)


def _found(
    organization: Organization, now: datetime, among: Collection[UUID] | None = None
) -> tuple[Finding, ...]:
    return Snoozes.of(organization).marked(judge(read_records(organization, now, among)))


def read_records(
    organization: Organization,
    now: datetime,
    among: Collection[UUID] | None = None,
    most: int | None = None,
    snoozed: Collection[UUID] = (),
) -> Records:
    """Read candidates for findings; with `among`, only those agents' days and credentials. The
    `snoozed` unused credentials do not count towards the `most`.
    """
    records = Records(now=now)
    usage = AgentDayUsage.objects.for_organization(organization).exclude(agent_id=NOBODY)
    credentials = Credential.objects.for_organization(organization)
    if among is not None:
        usage = usage.filter(agent_id__in=among)
        credentials = credentials.filter(agent_id__in=among)
    else:
        records.totals = _totals(organization, now)
    _read_days(records, usage)
    _read_month(records, organization)
    _read_carriers(records, usage, credentials)
    _read_credentials(records, organization, credentials, most, snoozed)
    records.reasons = _reasons(records, organization)
    records.names |= _names(records, organization)
    return records


def _totals(organization: Organization, now: datetime) -> dict[date, int]:
    """Issued tokens by day: the sum over all agents, as every token belongs to one."""
    days = count_by_day(organization, Period.last_days(KNOWN_DAYS, ZoneInfo("UTC"), now))
    return {day.date: day.count for day in days}


def _last_days(records: Records, number: int) -> list[date]:
    return [records.today - back * DAY for back in range(number)]


def _read_days(records: Records, usage: OrganizationScopedQuerySet) -> None:
    """Read the days of agents with a recent busy day or many refusals in the last week."""
    busy = (
        usage.filter(day__in=_last_days(records, JUDGED_DAYS))
        .values("agent_id", "day")
        .annotate(count=Sum("issued"))
        .filter(count__gte=SPIKE_MINIMUM)
        .values_list("agent_id", flat=True)
    )
    refused = (
        usage.filter(day__in=_last_days(records, 7))
        .values("agent_id")
        .annotate(count=Sum("refused"))
        .filter(count__gte=REFUSED_MINIMUM)
        .values_list("agent_id", flat=True)
    )
    often = set(refused)
    records.issued = _sums_by_day(records, usage, "issued", often.union(busy.distinct()))
    records.refused = _sums_by_day(records, usage, "refused", often)


def _sums_by_day(
    records: Records, usage: OrganizationScopedQuerySet, column: str, agents: set[UUID]
) -> dict[UUID, dict[date, int]]:
    """The column's sums by agent and day; an agent has a row a day for each of its credentials."""
    # One row for each agent: a row costs Django more than all of an agent's days cost PostgreSQL.
    rows = (
        usage.filter(agent_id__in=agents, day__in=_last_days(records, KNOWN_DAYS))
        .filter(**{f"{column}__gt": 0})
        .values_list("agent_id")
        .annotate(days=ArrayAgg("day"), counts=ArrayAgg(column))
    )
    return {agent_id: _sums(days, counts) for agent_id, days, counts in rows}


def _sums(days: Iterable[date], counts: Iterable[int]) -> dict[date, int]:
    sums: dict[date, int] = {}
    for day, count in zip(days, counts, strict=True):
        sums[day] = sums.get(day, 0) + count
    return sums


def _read_month(records: Records, organization: Organization) -> None:
    rows = (
        AgentMonthUsage.objects.for_organization(organization)
        .filter(month=records.today.replace(day=1), issued__gt=0)
        .exclude(agent_id=NOBODY)
    )
    whole = Window(Sum("issued"))
    most = rows.annotate(whole=whole).order_by("-issued", "agent_id")[:DOMINANT_AGENTS]
    for agent_id, issued, total in most.values_list("agent_id", "issued", "whole"):
        records.month[agent_id] = issued
        records.month_total = total


def _read_carriers(
    records: Records, usage: OrganizationScopedQuerySet, credentials: CredentialQuerySet
) -> None:
    """Read which credentials got the tokens of each peak."""
    days = {peak.agent_id: peak.day for peak in records.peaks}
    rows = (
        usage.filter(agent_id__in=days, day__in=set(days.values()), issued__gt=0)
        .exclude(credential_id=NOBODY)
        .values_list("agent_id", "day", "credential_id", "issued")
    )
    for agent_id, day, credential_id, issued in rows:
        if days[agent_id] == day:
            records.by_credential[agent_id, day][credential_id] = issued
    carriers = {credential for counts in records.by_credential.values() for credential in counts}
    records.hints = _hints_on_peak_days(days, credentials.filter(pk__in=carriers))


def _hints_on_peak_days(
    days: dict[UUID, date], carriers: OrganizationScopedQuerySet
) -> dict[UUID, str]:
    """The hint of the secret that each credential had on its agent's peak day.

    For a credential rotated since, it is taken from that day's requests: the secret that got most
    of the tokens.
    """
    names = ("pk", "agent_id", "organization_id", "secret_hint", "rotated_at")
    hints, of_rotated = {}, Q()
    for pk, agent_id, organization_id, hint, rotated_at in carriers.values_list(*names):
        hints[pk] = hint
        day = day_start(days[agent_id], UTC)
        if rotated_at is not None and rotated_at > day:
            hints[pk] = ""
            within = Q(created_at__gte=day, created_at__lt=day + DAY)
            own = Q(organization_id=organization_id, agent_id=agent_id, credential_id=pk)
            of_rotated |= own & within
    if of_rotated:
        used = TokenEvent.objects.filter(of_rotated, outcome=TokenEvent.Outcome.ISSUED)
        counts = used.values_list("credential_id", "secret_hint").annotate(count=Count("id"))
        hints |= {pk: hint for pk, hint, _ in counts.order_by("count", "secret_hint")}
    return hints


def _read_credentials(
    records: Records,
    organization: Organization,
    credentials: CredentialQuerySet,
    most: int | None,
    snoozed: Collection[UUID],
) -> None:
    """Read credentials in service that end soon, ended recently, or are unused."""
    now = records.now
    in_service = credentials.of_acting_agents().filter(status=Credential.Status.ACTIVE)
    ended = Q(expires_at__gt=now - EXPIRED_WITHIN, expires_at__lte=now)
    ending = Q(expires_at__gt=now, expires_at__lte=now + EXPIRING_WITHIN)
    used, unused = Q(last_used_at__gte=now - UNUSED_AFTER), Q(last_used_at__lt=now - UNUSED_AFTER)
    never_used = Q(last_used_at=None, created_at__lt=now - NEVER_USED_AFTER)
    is_idle = (Q(expires_at=None) | Q(expires_at__gt=now)) & (unused | never_used)
    is_told = ended & Q(last_used_at__isnull=False) | ending & used
    if snoozed:
        is_told |= is_idle & Q(pk__in=snoozed)
    idle = in_service.filter(is_idle).exclude(pk__in=snoozed)
    if most is not None:
        records.unread = max(idle.count() - most, 0)
    names = ("id", "agent_id", "secret_hint", "created_at", "expires_at", "last_used_at")
    kept = []
    for rows in (in_service.filter(is_told).order_by(), idle.order_by(*LATEST_FIRST)[:most]):
        for *row, email in rows.values_list(*names, "agent__email"):
            kept.append(CredentialRecord(*row))
            records.names[row[1]] = _name(email)
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
    records.credentials = tuple(
        replace(record, refused_since_expiry=tried[record.id]) if record.id in tried else record
        for record in kept
    )


REASONS = """SELECT asked.agent_id, newest.reason, count(*)
    FROM unnest(%s::uuid[]) AS asked (agent_id)
    CROSS JOIN LATERAL (
        SELECT outcome, reason FROM tokens_tokenevent
        WHERE organization_id = %s AND agent_id = asked.agent_id AND created_at >= %s
        ORDER BY created_at DESC LIMIT %s
    ) AS newest
    WHERE newest.outcome = 'refused'
    GROUP BY 1, 2
"""


def _reasons(records: Records, organization: Organization) -> dict[UUID, str]:
    """The most frequent reason in the last week, for agents whose refusals rise: of the newest
    events of each, because a busy agent has very many.
    """
    agents = list(risen_refusals(records))
    if not agents:
        return {}
    first = day_start(records.today - 6 * DAY, UTC)
    counts: dict[UUID, list[tuple[int, str]]] = defaultdict(list)
    with connection.cursor() as cursor:
        most = max(NEWEST // len(agents), FEWEST)
        cursor.execute(REASONS, [agents, organization.pk, first, most])
        for agent_id, reason, count in cursor.fetchall():
            counts[agent_id].append((count, reason))
    labels = dict(TokenEvent.Reason.choices)
    return {agent_id: str(labels.get(max(found)[1], "")) for agent_id, found in counts.items()}


def _names(records: Records, organization: Organization) -> dict[UUID, str]:
    mentioned = {peak.agent_id for peak in records.peaks}
    mentioned.update(records.refused, records.month)
    agents = Agent.objects.for_organization(organization).filter(pk__in=mentioned).order_by()
    return {agent_id: _name(email) for agent_id, email in agents.values_list("pk", "email")}


def _name(email: str) -> str:
    return email.partition("@")[0]
