"""What people of the demonstration have decided: two groups of errors are resolved, of which one
was received again, a finding is snoozed, and lists have views.

They decide through the actions of the pages, so the audit log tells it. Each kind of decision is
made once: what a visitor undoes stays undone.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Max

from analytics.actions import snooze_days, snooze_finding
from analytics.records import findings_of
from core.days import DAY
from executions.actions import resolve_error_group
from executions.models import ErrorResolution, ExecutionError
from organizations.actions.saved_views import save_view
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.models import AuditEvent, Membership, Organization, SavedList

AGAIN = "The gateway has a larger quota now"
DONE = "Fixed in the last release"
SNOOZED = "dominant_agent"
REASON = "It serves every intake until the split in spring"
SNOOZED_DAYS = 60
SHARED_VIEWS = (
    (SavedList.EXECUTIONS, "Failed this week", "hours=168&status=error"),
    (SavedList.REQUESTS, "Refused this week", "outcome=refused"),
    (SavedList.AUDIT, "Changes of credentials", "action=credential"),
)
OWN_VIEWS = (
    (SavedList.EXECUTIONS, "Waiting for an answer", "hours=168&status=awaiting"),
    (SavedList.ERRORS, "Back again", "hours=720&state=regressed"),
)
HOUR = timedelta(hours=1)


def decide(organization: Organization, now: datetime) -> None:
    """Make what has not been decided yet; in the organization's scope."""
    members = Membership.objects.for_organization(organization).select_related("user")
    owner = Actor.for_person(members.get(role=Membership.Role.OWNER))
    administrator = members.filter(role=Membership.Role.ADMIN).order_by("id").first()
    _resolve(owner, now)
    _snooze(Actor.for_person(administrator) if administrator else owner)
    _save_views(owner)


def _is_decided(actor: Actor, action: AuditAction) -> bool:
    return AuditEvent.objects.for_organization(actor.organization).filter(action=action).exists()


def _resolve(actor: Actor, now: datetime) -> None:
    resolutions = ErrorResolution.objects.for_organization(actor.organization)
    groups = list(
        ExecutionError.objects.for_organization(actor.organization)
        .values("fingerprint")
        .annotate(number=Count("id"), last=Max("created_at"))
        .order_by("-number", "fingerprint")
    )
    quiet = [each for each in groups[1:] if each["last"] < now - DAY]
    if resolutions.exists() or not quiet or _is_decided(actor, AuditAction.ERROR_GROUP_RESOLVED):
        return
    for group, at, note in (
        (groups[0], groups[0]["last"] - HOUR, AGAIN),
        (quiet[0], quiet[0]["last"] + 2 * HOUR, DONE),
    ):
        found = resolve_error_group(group["fingerprint"], actor=actor, note=note)
        # An action acts now, and its past would be told without this.
        resolutions.filter(pk=found.pk).update(resolved_at=at, created_at=at)


def _snooze(actor: Actor) -> None:
    if _is_decided(actor, AuditAction.FINDING_SNOOZED):
        return
    zone = ZoneInfo(actor.organization.time_zone)
    for finding in findings_of(actor.organization):
        if finding.code == SNOOZED:
            back_on = snooze_days(zone)[0] + SNOOZED_DAYS * DAY
            snooze_finding(finding, actor=actor, reason=REASON, back_on=back_on, zone=zone)
            return


def _save_views(actor: Actor) -> None:
    if _is_decided(actor, AuditAction.VIEW_SHARED):
        return
    for views, is_shared in ((SHARED_VIEWS, True), (OWN_VIEWS, False)):
        for of, name, query in views:
            save_view(actor=actor, list=of, name=name, query=query, is_shared=is_shared)
