"""What may be done about a credential, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.findings.rules import EXPIRING_WITHIN, NEVER_USED_AFTER, UNUSED_AFTER
from core.days import DAY, HOUR
from core.formatting import absolute_time, counted, day_of, duration, time_phrase
from pages.agents.credential_usage import DAYS, CredentialUsage
from pages.agents.secret_usage import SecretUsage, can_end, rotation_text
from tokens.models import Credential


@dataclass(frozen=True)
class Advice:
    tone: str
    lead: str
    reason: str


def advice(
    credential: Credential, used: CredentialUsage, secrets: Sequence[SecretUsage], now: datetime
) -> Advice | None:
    """Only what was checked, and nothing where there is no reason."""
    if secrets:
        return of_rotation(secrets, now)
    if not credential.is_usable():
        return None
    end, last = credential.expires_at, credential.last_used_at
    is_used = last is not None and now - last <= UNUSED_AFTER
    if end is not None and is_used and end - now <= EXPIRING_WITHIN:
        renewed = credential.renewed_end(now)
        until = f" The new secret would work until {day_of(renewed, now)}." if renewed else ""
        tokens = f"It obtained {counted(used.issued, 'tokens')} in {DAYS} days."
        return Advice("warn", f"Rotate before {absolute_time(end, now)}.", f"{tokens}{until}")
    if used.live_tokens or is_used:
        return None
    if last is not None:
        reason = f"Unused for {span(now - last)}, and no live token depends on it."
        return Advice("good", "Safe to revoke.", reason)
    age = now - credential.secret_made_at
    if age >= NEVER_USED_AFTER:
        change = "rotated" if credential.rotated_at else "created"
        reason = f"It has not obtained a token since it was {change} {span(age)} ago."
        return Advice("good", "Safe to revoke.", reason)
    return None


def of_rotation(secrets: Sequence[SecretUsage], now: datetime) -> Advice:
    """Whether the old secrets can end, and why."""
    is_one = len(secrets) == 2
    if can_end(secrets, now):
        lead = "Safe to end." if is_one else "Safe to end them."
        return Advice("good", lead, carried_by(secrets[0], now))
    lead = "Keep both for now." if is_one else "Keep them for now."
    return Advice("", lead, rotation_text(secrets, now))


def carried_by(new: SecretUsage, now: datetime) -> str:
    """What the new secret did since the rotation, where the old ones can end."""
    last = f", the last {time_phrase(new.last_at, now)}" if new.last_at else ""
    return f"…{new.hint} has obtained {counted(new.issued, 'tokens')} since the rotation{last}."


def span(length: timedelta) -> str:
    if length < HOUR:
        return "less than an hour"
    return counted(length.days, "days") if length >= 3 * DAY else duration(length)
