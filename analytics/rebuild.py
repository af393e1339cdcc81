"""Comparing an organization's rollups with a recount, and correcting them while traffic goes on."""

from django.db import connection

from analytics.rollups import ROLLUPS as OF_TOKEN_EVENTS
from core.rollups import Difference, Rollup
from executions.rollups import ROLLUPS as OF_EXECUTIONS
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

ROLLUPS = (*OF_TOKEN_EVENTS, *OF_EXECUTIONS)
MAX_ROUNDS = 3
"""A newest time that changed while it was corrected is corrected again."""


def rebuild_rollup(organization: Organization, rollup: Rollup) -> Difference | None:
    """Correct the rollup until it equals a recount; return how it differed at first.

    Writers wait only for the rows that are corrected, for as long as that takes.
    """
    first = None
    for _ in range(MAX_ROUNDS):
        with organization_scope(organization):
            _wait_for_turn(organization)
            found = rollup.correct()
        if found is None:
            break
        first = first or found
    return first


def rebuild_rollups(organization: Organization) -> tuple[Difference, ...]:
    """Correct every rollup; return how those that were wrong differed."""
    found = (rebuild_rollup(organization, rollup) for rollup in ROLLUPS)
    return tuple(each for each in found if each)


def _wait_for_turn(organization: Organization) -> None:
    """Wait while another process corrects the same organization's rollups."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('rebuild of ' || %s, 0))",
            [str(organization.pk)],
        )
