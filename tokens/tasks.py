"""The worker's tasks for tokens, sessions and links."""

from django.db import OperationalError
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from tokens.pruning import prune_attempts, prune_expired
from tokens.retention import drop_old_events

MAINTENANCE = "maintenance"
AFTER_A_MINUTE = RetryStrategy(max_attempts=10, wait=60, retry_exceptions={OperationalError})
"""For a lock that was not free."""


@app.periodic(cron="27 3 * * *")
@app.task(name="tokens.prune", queue=MAINTENANCE, queueing_lock="tokens.prune")
def prune(timestamp: int) -> None:
    """Delete expired rows every night."""
    prune_expired()


@app.periodic(cron="17 * * * *")
@app.task(name="tokens.prune_attempts", queue=MAINTENANCE, queueing_lock="tokens.prune_attempts")
def prune_counters(timestamp: int) -> None:
    """Delete counters of attempts every hour."""
    prune_attempts()


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
