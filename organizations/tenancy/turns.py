"""Jobs that do the work of organizations in turns, so that none keeps the others waiting.

A worker has few places for such jobs. One that goes on until all is done would hold its place for
as long as a tenant has rows: a turn is a limited number of short steps, and what is left is another
job at the end of the queue.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from organizations.models import Organization
from organizations.tenancy.every import in_every_organization

MAINTENANCE = "maintenance"
STEPS = 20
"""Short transactions in a turn: a few seconds together."""
LOW_PRIORITY = -10
"""Jobs of the deployment, such as making partitions, go before those of single organizations."""


class Turn:
    """One turn of an organization. `has_more` says whether it needs another."""

    def __init__(self, steps: int | None = None) -> None:
        """Without a number there is no end."""
        self.left, self.has_more = steps, False

    def take(self) -> bool:
        """Whether another step may be taken, which is thereby taken."""
        if self.left is None:
            return True
        self.left -= 1
        self.has_more = self.left < 0
        return not self.has_more


Work = Callable[[Organization, Turn], int]


def lock_of(task: str, organization_id: UUID | str) -> str:
    return f"{task} {organization_id}"


def queue_turn(task: str, organization_id: UUID | str, **more: Any) -> None:
    """Queue the task for the organization, unless it is queued already. It never runs twice at
    once.
    """
    lock = lock_of(task, organization_id)
    job = app.configure_task(
        task, queue=MAINTENANCE, priority=LOW_PRIORITY, lock=lock, queueing_lock=lock
    )
    try:
        with transaction.atomic():
            job.defer(organization_id=str(organization_id), **more)
    except AlreadyEnqueued:
        pass  # it has not begun, and will find everything that is committed now


def queue_turn_on_commit(task: str, organization_id: UUID | str) -> None:
    """Queue the task for what the transaction leaves to it.

    Afterwards, because a job that is queued already may run before the commit and see nothing of
    it. What a process that ends in between leaves is found at night.
    """
    transaction.on_commit(lambda: queue_turn(task, organization_id), robust=True)


def take_turn(task: str, work: Work, organization: Organization) -> int:
    """Do one turn of the work, and queue the task if more is left."""
    turn = Turn(STEPS)
    done = work(organization, turn)
    if turn.has_more:
        queue_turn(task, organization.pk)
    return done


def take_next_turn(task: str, work: Work, organization_id: str) -> int:
    """Do what the task was queued for."""
    return take_turn(task, work, Organization.objects.get(pk=organization_id))


def take_turns(task: str, work: Work) -> int:
    """Do one turn of the work in every organization; what is left is queued as the task."""
    return in_every_organization(lambda each: take_turn(task, work, each))
