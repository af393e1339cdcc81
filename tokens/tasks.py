"""The worker's tasks for expired rows and token events."""

from django.db import OperationalError
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from organizations.tenancy.turns import MAINTENANCE, take_next_turn
from tokens.pruning import PRUNE_MORE, prune_expired, prune_organization
from tokens.retention import drop_old_events

AFTER_A_MINUTE = RetryStrategy(max_attempts=10, wait=60, retry_exceptions={OperationalError})
"""For a lock that was not free."""


@app.periodic(cron="27 3 * * *")
@app.task(name="tokens.prune", queue=MAINTENANCE, queueing_lock="tokens.prune")
def prune(timestamp: int) -> None:
    """Delete expired rows every night."""
    prune_expired()


@app.task(name=PRUNE_MORE, queue=MAINTENANCE)
def prune_more(organization_id: str) -> None:
    take_next_turn(PRUNE_MORE, prune_organization, organization_id)


@app.periodic(cron="47 4 * * *")
@app.task(
    name="tokens.drop_events",
    queue=MAINTENANCE,
    queueing_lock="tokens.drop_events",
    retry=AFTER_A_MINUTE,
)
def drop_events(timestamp: int) -> None:
    """Drop token events every night that are older than the deployment keeps them."""
    drop_old_events()
