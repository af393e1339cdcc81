"""The worker's tasks for tokens, sessions and links."""

from procrastinate.contrib.django import app

from tokens.pruning import prune_expired

MAINTENANCE = "maintenance"


@app.periodic(cron="27 3 * * *")
@app.task(name="tokens.prune", queue=MAINTENANCE, queueing_lock="tokens.prune")
def prune(timestamp: int) -> None:
    """Delete expired rows every night."""
    prune_expired()
