"""The use of old secrets after a rotation, and whether they can be ended."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max
from django.db.models.functions import TruncDate

from agents.models import Agent
from core.formatting import absolute_time, time_phrase
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
    days: Mapping[date, int] = field(default_factory=dict)
    """Its tokens by day (UTC)."""


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
        .annotate(day=TruncDate("created_at", tzinfo=UTC))
        .values_list("credential_id", "secret_hint", "used_previous_secret", "day")
        .annotate(
            issued=Count("id"),
            last_at=Max("created_at"),
            addresses=ArrayAgg("ip_address", distinct=True),
        )
        .order_by()
    )
    used: dict[tuple[UUID, str, bool], list[tuple[Any, ...]]] = defaultdict(list)
    for credential_id, hint, is_old, *of_day in rows:
        used[credential_id, hint, is_old].append(tuple(of_day))
    found = {}
    for pk, credential in rotating.items():
        present = used[pk, credential.secret_hint, False]
        found[pk] = [_secret(credential.secret_hint, None, present)]
        for old in credential.live_old_secrets(now):
            found[pk].append(_secret(old.hint, old.ends_at, used[pk, old.hint, True]))
    return found


def _secret(hint: str, ends_at: datetime | None, days: list[tuple[Any, ...]]) -> SecretUsage:
    addresses = sorted({str(each) for *_, of_day in days for each in of_day if each})
    return SecretUsage(
        hint,
        ends_at,
        issued=sum(issued for _, issued, _, _ in days),
        last_at=max((last_at for _, _, last_at, _ in days), default=None),
        addresses=tuple(addresses[:ADDRESSES_SHOWN]),
        days={day: issued for day, issued, _, _ in days},
    )


def last_of(secrets: Sequence[SecretUsage]) -> SecretUsage | None:
    """The secret that was used last, if any was."""
    used = [(each.last_at, each) for each in secrets if each.last_at]
    return max(used, key=lambda pair: pair[0])[1] if used else None


def can_end(secrets: Sequence[SecretUsage], now: datetime) -> bool:
    """Whether the old secrets rest while the new one is in use."""
    new, *old = secrets
    if new.last_at is None:
        return False
    last = last_of(old)
    if last is None or last.last_at is None:
        return True
    return now - last.last_at > RESTED and new.last_at > last.last_at


def rotation_text(secrets: Sequence[SecretUsage], now: datetime) -> str:
    """A sentence on whether the old secrets can be ended."""
    new, *old = secrets
    the_old = f"The old secret {shown_name(old[0])}" if len(old) == 1 else "None of the old secrets"
    user = last_of(old)
    last = user.last_at if user else None
    if last is None and new.last_at is None:
        return "None of its secrets has obtained a token since the rotation."
    if user is None or last is None:
        one = "has not obtained a token since the rotation, but the new one has. You can end it."
        several = "has obtained a token since the rotation, but the new one has. You can end them."
        return f"{the_old} {one if len(old) == 1 else several}"
    if new.last_at is None:
        return (
            f"The new secret has not been used yet: {shown_name(user)} obtained all tokens since "
            f"the rotation, the last {time_phrase(last, now)}. Ending it now would stop the agent."
        )
    if can_end(secrets, now):
        since = absolute_time(last, now)
        if len(old) > 1:
            return (
                f"None of the old secrets has been used since {since}, but the new one has. "
                "You can end them."
            )
        return (
            f"The old secret {shown_name(user)} has not been used since {since}, but the new one "
            "has. You can end it."
        )
    came_from = f" from {', '.join(user.addresses)}" if user.addresses else ""
    return (
        f"The old secret {shown_name(user)} is still in use: it last obtained a token "
        f"{time_phrase(last, now)}{came_from}."
    )


def shown_name(secret: SecretUsage) -> str:
    return f"…{secret.hint}" if secret.hint else "from before"
