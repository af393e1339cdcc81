"""Whose share of a server an organization takes, where places, turns and budgets are divided.

A person may found many organizations. If each had a share of its own, founding would be a way to
take from all others, so all that one person answers for have one share together:

- An organization that a person founded takes the share of its founder, as long as they are a
  member.
- After they have left, it takes that of its longest-serving owner. So the new owners of an
  organization do not suffer from what its founder does elsewhere; and handing twenty to one other
  person makes no twenty shares of them.
- One that the operator created stands alone. Its members did not choose how many there are.

What an organization may store or own (docs/reference/limits.md) stays its own.

A share is looked up once for each organization in each process, and again after SECONDS_TO_KEEP, so
that requests ask no extra question.
"""

import time
from uuid import UUID

from django.db import connection

SECONDS_TO_KEEP = 300.0
"""How long the share of a founder who has left is still taken."""
MAX_KEPT = 20_000
"""Organizations whose shares a process remembers."""

SHARE = """
SELECT CASE WHEN o.created_by_id IS NULL THEN o.id ELSE coalesce((
    SELECT m.user_id FROM organizations_membership m
    WHERE m.organization_id = o.id AND (m.user_id = o.created_by_id OR m.role = 'owner')
    ORDER BY m.user_id = o.created_by_id DESC, m.created_at, m.id LIMIT 1
), o.created_by_id) END
FROM organizations_organization o WHERE o.id = %s
"""

_kept: dict[UUID, tuple[UUID, float]] = {}


def share_of(organization_id: UUID) -> UUID:
    """The key under which the organization's places, turns and budgets are counted.

    May query, so call it in a thread, and keep the key for as long as something is counted under
    it.
    """
    share, until = _kept.get(organization_id, (organization_id, 0.0))
    if time.monotonic() < until:
        return share
    with connection.cursor() as cursor:
        cursor.execute(SHARE, [organization_id])
        row = cursor.fetchone()
    share = row[0] if row else organization_id
    if len(_kept) >= MAX_KEPT:
        _kept.clear()
    _kept[organization_id] = share, time.monotonic() + SECONDS_TO_KEEP
    return share
