"""Removal of token events that are older than the deployment keeps them, by whole months.

The rollups stay, and with them every chart that is read from them. What is dropped is recorded in
the audit log of every organization that had such events.
"""

from datetime import datetime

from django.conf import settings
from django.db import connection

from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization, OrganizationScopedQuerySet
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.scope import organization_scope
from tokens.models import TokenEvent

BATCH = 5000


def drop_old_events() -> list[str]:
    """Drop the partitions that no organization keeps any more; return their names.

    Raise OperationalError if a lock is not free within half a second, or PartsFailed if the log of
    an organization cannot be written: nothing is dropped without a record.
    """
    months = settings.TOKEN_EVENT_RETENTION_MONTHS
    since = kept_since(months) if months else None
    if since is None:
        return []
    losing = []

    def announce(organization: Organization) -> int:
        with organization_scope(organization):
            if not _older(organization, since).exists():
                return 0
            _record(organization, AuditAction.TOKEN_EVENTS_EXPIRY_STARTED, since)
        losing.append(organization)
        return 1

    def finish(organization: Organization) -> int:
        # The default partition may have some: those that came after the partition was dropped.
        while True:
            with organization_scope(organization):
                keys = list(_older(organization, since).values_list("pk", flat=True)[:BATCH])
                if not keys:
                    _record(organization, AuditAction.TOKEN_EVENTS_EXPIRED, since)
                    return 1
                _older(organization, since).filter(pk__in=keys).delete()

    in_every_organization(announce)
    dropped = []
    while name := _drop_one(months):
        dropped.append(name)
    in_every_organization(finish, losing)
    return dropped


def kept_since(months: int) -> datetime | None:
    """The beginning of the oldest partition with events of that many whole months before this one.

    None if it is also the oldest one there is.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT tokens_events_kept_since(%s)", [months])
        found: datetime | None = cursor.fetchone()[0]
        return found


def _older(organization: Organization, since: datetime) -> OrganizationScopedQuerySet:
    rows = TokenEvent.objects.for_organization(organization).filter(created_at__lt=since)
    return rows.order_by()


def _drop_one(months: int) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tokens_drop_partition(%s)", [months])
        found: str | None = cursor.fetchone()[0]
        return found


def _record(organization: Organization, action: AuditAction, since: datetime) -> None:
    actor = Actor.for_system(organization, "retention")
    record_event(action, organization, actor=actor, before=since.isoformat())
