"""Whose share of a server an organization takes, where places, turns and budgets are divided.

A person may found many organizations. If each had a share of its own, founding would be a way to
take from all others, so all that one person answers for have one share together:

- An organization that a person founded takes the share of its founder, as long as they own it.
- Afterwards its longest-serving owner answers for it. All that were handed on to one person have
  one share together, beside that of what they founded: handing on twenty makes no twenty shares,
  and what the founder's agents go on doing there is not charged to what the new owner founded.
- One that the operator created stands alone. Its members did not choose how many there are.

So a person has two shares at most. Each account has its own: accounts are made by invitation, whose
number an hour is limited (docs/reference/limits.md), and nothing tells two of one person from two
people.

What an organization may store or own (docs/reference/limits.md) stays its own.

A share is looked up once for each organization in each process, and again after SECONDS_TO_KEEP, so
that requests ask no extra question.
"""

import time
from collections.abc import Iterable
from uuid import UUID, uuid5

from django.db import connection

SECONDS_TO_KEEP = 300.0
"""How long the share of a former owner is still taken."""
MAX_KEPT = 20_000
"""Organizations whose shares a process remembers."""

ANSWERS = """
SELECT o.id, o.created_by_id, (
    SELECT m.user_id FROM organizations_membership m
    WHERE m.organization_id = o.id AND m.role = 'owner'
    ORDER BY m.user_id = o.created_by_id DESC, m.created_at, m.id LIMIT 1
) FROM organizations_organization o WHERE o.id = ANY (%s)
"""

_kept: dict[UUID, tuple[UUID, float]] = {}


def share_of(organization_id: UUID) -> UUID:
    """The key under which the organization's places, turns and budgets are counted.

    May query, so call it in a thread, and keep the key for as long as something is counted under
    it.
    """
    return shares_of([organization_id])[organization_id]


def shares_of(organization_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The same of several, with one query at most."""
    now = time.monotonic()
    kept = {each: _kept.get(each, (each, 0.0)) for each in organization_ids}
    shares = {each: share for each, (share, until) in kept.items() if now < until}
    if unknown := kept.keys() - shares.keys():
        asked = dict.fromkeys(unknown) | _read_shares(unknown)
        if len(_kept) + len(asked) > MAX_KEPT:
            _kept.clear()
        for each, share in asked.items():
            shares[each] = share or each
            _kept[each] = shares[each], time.monotonic() + SECONDS_TO_KEEP
    return shares


def _read_shares(organization_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS, [list(organization_ids)])
        return {each: _share(each, *people) for each, *people in cursor.fetchall()}


def _share(organization_id: UUID, founder: UUID | None, owner: UUID | None) -> UUID:
    if founder is None:
        return organization_id
    if owner is None or owner == founder:
        return founder
    return uuid5(owner, "handed on")
