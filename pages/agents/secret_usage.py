"""The use of old secrets after a rotation, and whether they can be ended."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max

from agents.models import Agent
from core.formatting import absolute_time
from tokens.models import Credential, TokenEvent

ADDRESSES_SHOWN = 3
RESTED = timedelta(hours=1)
"""A client requests a new token at least once in a token's lifetime."""
SKEW = timedelta(minutes=5)
"""The clock skew allowed between a rotation and a token."""


@dataclass(frozen=True)
class SecretUsage:
    """The use of one secret of a rotated credential since the rotation."""

    hint: str
    """The last characters of the secret; empty where they were not stored."""
    ends_at: datetime | None
    """The time until which an old secret works; None for the current one."""
    issued: int = 0
    last_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    """Some of the addresses that used it."""


def secrets_of(
    agent: Agent, credentials: Collection[Credential], now: datetime
) -> dict[UUID, list[SecretUsage]]:
    """The current and the old but valid secrets of each credential in rotation.

    One query over the agent's tokens since the earliest rotation, which is at most a week ago.
    """
    rotating = {each.pk: each for each in credentials if each.live_old_secrets(now)}
    starts = [each.rotated_at for each in rotating.values() if each.rotated_at]
    rows = (
        TokenEvent.objects.filter(
            organization_id=agent.organization_id,
            agent=agent,
            credential_id__in=rotating,
            outcome=TokenEvent.Outcome.ISSUED,
            created_at__gte=min(starts, default=now) - SKEW,
        )
        .values_list("credential_id", "secret_hint", "used_previous_secret")
        .annotate(
            issued=Count("id"),
            last_at=Max("created_at"),
            addresses=ArrayAgg("ip_address", distinct=True),
        )
        .order_by()
    )
    used: dict[tuple[UUID, str, bool], tuple[int, datetime, tuple[str, ...]]] = {}
    for credential_id, hint, is_old, count, last_at, addresses in rows:
        some = tuple(str(each) for each in addresses if each)[:ADDRESSES_SHOWN]
        used[credential_id, hint, is_old] = (count, last_at, some)
    found = {}
    for pk, credential in rotating.items():
        present = used.get((pk, credential.secret_hint, False), ())
        found[pk] = [SecretUsage(credential.secret_hint, None, *present)]
        for old in credential.live_old_secrets(now):
            found[pk].append(
                SecretUsage(old.hint, old.ends_at, *used.get((pk, old.hint, True), ()))
            )
    return found


def verdict(secrets: list[SecretUsage], now: datetime) -> str:
    """A sentence on whether the old secrets can be ended."""
    new, *old = secrets
    the_old = f"The old secret {shown_name(old[0])}" if len(old) == 1 else "None of the old secrets"
    last = max((each.last_at for each in old if each.last_at), default=None)
    if last is None and new.last_at is None:
        return "None of its secrets has obtained a token since the rotation."
    if last is None:
        one = "has not obtained a token since the rotation, but the new one has. You can end it."
        several = "has obtained a token since the rotation, but the new one has. You can end them."
        return f"{the_old} {one if len(old) == 1 else several}"
    at = absolute_time(last, now)
    user = next(each for each in old if each.last_at == last)
    if new.last_at is None:
        return (
            f"The new secret has not been used yet: {shown_name(user)} obtained all tokens since "
            f"the rotation, the last at {at}. Ending it now would stop the agent."
        )
    if now - last > RESTED and new.last_at > last:
        if len(old) > 1:
            return (
                f"None of the old secrets has been used since {at}, but the new one has. "
                "You can end them."
            )
        return (
            f"The old secret {shown_name(user)} has not been used since {at}, but the new one has. "
            "You can end it."
        )
    came_from = f" from {', '.join(user.addresses)}" if user.addresses else ""
    return f"The old secret {shown_name(user)} is still in use: its last token at {at}{came_from}."


def shown_name(secret: SecretUsage) -> str:
    return f"…{secret.hint}" if secret.hint else "from before"
