"""The worker's tasks for mail, counters and the database as a whole.

Jobs contain only ids; secrets are created when a mail is sent.
"""

from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from core.partitions import make_partitions
from organizations import pruning
from organizations.people import mailing
from organizations.tenancy.turns import MAINTENANCE

RETRIES = RetryStrategy(max_attempts=6, exponential_wait=4)


@app.task(name=mailing.INVITATION, queue=mailing.QUEUE, retry=RETRIES)
def mail_invitation(organization_id: str, invitation_id: str) -> None:
    mailing.mail_invitation(UUID(organization_id), UUID(invitation_id))


@app.task(name=mailing.PASSWORD, queue=mailing.QUEUE, retry=RETRIES)
def mail_password_reset(user_id: str) -> None:
    mailing.mail_password_reset(UUID(user_id))


@app.task(name=mailing.ADDRESS, queue=mailing.QUEUE, retry=RETRIES)
def mail_address_change(link_id: str) -> None:
    mailing.mail_address_change(UUID(link_id))


@app.periodic(cron="7 * * * *")
@app.task(
    name="organizations.make_partitions",
    queue=MAINTENANCE,
    queueing_lock="organizations.make_partitions",
)
def make_next_partitions(timestamp: int) -> None:
    """Every hour: make the partitions of the next months, which are there already but for once a
    month."""
    make_partitions()


@app.periodic(cron="17 * * * *")
@app.task(
    name="organizations.prune_attempts",
    queue=MAINTENANCE,
    queueing_lock="organizations.prune_attempts",
    aliases=["tokens.prune_attempts"],  # jobs that servers of the release before have queued
)
def prune_attempts(timestamp: int) -> None:
    """Delete counters of attempts every hour."""
    pruning.prune_attempts()
