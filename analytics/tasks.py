"""The worker's task for snoozes that are over."""

from procrastinate.contrib.django import app

from analytics.models import FindingSnooze
from organizations.models import Organization
from organizations.pruning import BATCH, delete_in_batches
from organizations.tenancy.turns import MAINTENANCE, Turn, take_next_turn, take_turns

PRUNE_MORE = "analytics.prune_more"


def prune_organization(organization: Organization, turn: Turn) -> int:
    """Delete some of the organization's snoozes that are over; the audit log has them."""
    return delete_in_batches(FindingSnooze.objects.over, BATCH, organization, turn)


@app.periodic(cron="7 4 * * *")
@app.task(name="analytics.prune", queue=MAINTENANCE, queueing_lock="analytics.prune")
def prune(timestamp: int) -> None:
    """Delete snoozes that are over every night."""
    take_turns(PRUNE_MORE, prune_organization)


@app.task(name=PRUNE_MORE, queue=MAINTENANCE)
def prune_more(organization_id: str) -> None:
    take_next_turn(PRUNE_MORE, prune_organization, organization_id)
