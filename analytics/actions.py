"""Snoozing findings, which the audit log records."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from analytics.findings.finding import Finding
from analytics.findings.snoozes import is_about
from analytics.models import FindingSnooze
from analytics.models.snooze import MAX_MESSAGE
from core.database_clock import database_time
from core.days import DAY, day_start
from core.errors import DomainError, NotFound
from core.formatting import shortened
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization

MAX_SNOOZES = 100
"""Of an organization, in force."""
MAX_DAYS, DEFAULT_DAYS = 90, 7


class SnoozeOver(NotFound):
    message = "The snooze has ended meanwhile."


class TooManySnoozes(DomainError):
    message = f"{MAX_SNOOZES} findings are snoozed, which is the most. End one first."


class SnoozeTooLong(DomainError):
    message = f"A finding can be snoozed from tomorrow up to {MAX_DAYS} days from now."


def snooze_days(zone: ZoneInfo) -> tuple[date, date, date]:
    """The first day on which a finding may come back, the one that is proposed, and the last."""
    today = database_time().astimezone(zone).date()
    return today + DAY, today + DEFAULT_DAYS * DAY, today + MAX_DAYS * DAY


@transaction.atomic
def snooze_finding(
    finding: Finding, *, actor: Actor, reason: str, back_on: date, zone: ZoneInfo
) -> FindingSnooze:
    """Hide the finding until the day begins in the zone. A snooze of the same finding is replaced;
    the same one again changes nothing.
    """
    organization = _locked_organization(actor)
    first, _, last = snooze_days(zone)
    if not first <= back_on <= last:
        raise SnoozeTooLong(back_on=[SnoozeTooLong.message])
    snooze = _known(organization, finding)
    values = _values(finding, reason, day_start(back_on, zone))
    if snooze is None or snooze.until <= database_time():
        _require_room(organization)
    if snooze is None:
        snooze = FindingSnooze(organization=organization, snoozed_by=actor.user, **values)
        snooze.save(force_insert=True)
    elif (snooze.reason, snooze.until) == (reason, values["until"]) and is_about(snooze, finding):
        return snooze
    else:
        values |= {"snoozed_by": actor.user, "created_at": timezone.now()}
        for name, value in values.items():
            setattr(snooze, name, value)
        snooze.save(update_fields=list(values))
    record_event(
        AuditAction.FINDING_SNOOZED,
        snooze,
        actor=actor,
        code=finding.code,
        reason=reason,
        until=snooze.until,
    )
    return snooze


@transaction.atomic
def end_snooze(snooze: FindingSnooze, *, actor: Actor) -> None:
    """Show the finding again, if it still is one."""
    found = FindingSnooze.objects.select_for_update(of=("self",)).filter(pk=snooze.pk).first()
    if found is None:
        raise SnoozeOver
    record_event(AuditAction.FINDING_SNOOZE_ENDED, found, actor=actor, reason=found.reason)
    found.delete()


def _locked_organization(actor: Actor) -> Organization:
    # Counting and inserting must be atomic. NO KEY: tokens can be issued meanwhile.
    return Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)


def _known(organization: Organization, finding: Finding) -> FindingSnooze | None:
    """The row about the finding, which may be over or about the time before it became urgent."""
    rows = FindingSnooze.objects.for_organization(organization).filter(
        kind=finding.kind, agent=finding.agent_id, credential=finding.credential_id
    )
    if finding.day is not None:
        rows = rows.filter(day__in=finding.dates)
    return rows.select_for_update(of=("self",)).order_by("day").last()


def _values(finding: Finding, reason: str, until: datetime) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "agent_id": finding.agent_id,
        "credential_id": finding.credential_id,
        "day": finding.day,
        "severity": finding.severity,
        "message": shortened(finding.message, MAX_MESSAGE),
        "reason": reason,
        "until": until,
    }


def _require_room(organization: Organization) -> None:
    if FindingSnooze.objects.for_organization(organization).in_force().count() >= MAX_SNOOZES:
        raise TooManySnoozes
