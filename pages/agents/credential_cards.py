"""The credentials on an agent's page: a card for each that needs a look, a line for the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from analytics.agent_usage import AgentUsage
from analytics.findings.rules import EXPIRING_WITHIN, NEVER_USED_AFTER, UNUSED_AFTER
from core.days import DAY, HOUR
from core.formatting import absolute_time, counted, duration
from pages.agents.credential_usage import CredentialUsage, with_live_tokens
from pages.agents.credentials import ending_of, revocation_of
from pages.agents.figures import DAYS, Strip
from pages.agents.secret_usage import SecretUsage, can_end, secrets_of, verdict
from pages.charts import short_day
from pages.confirmation import Confirmation
from tokens.models import Credential, CredentialQuerySet, TokenEvent

HEIGHT = 48
"""Of the bars, in pixels."""
ACCURACY = timedelta(minutes=1)
"""Of the last use of a credential."""


@dataclass(frozen=True)
class Advice:
    """What may be done about a credential, with the reason."""

    tone: str
    lead: str
    reason: str


@dataclass(frozen=True)
class Card:
    """A credential with its use."""

    credential: Credential
    usage: CredentialUsage
    revocation: Confirmation
    bars: Mapping[str, Any]
    url: str
    """The requests that came with it."""
    now: datetime
    secrets: Sequence[SecretUsage] = ()
    """In rotation: the current secret and the old ones, else none."""
    ending: Confirmation | None = None
    advice: Advice | None = None

    @property
    def is_live(self) -> bool:
        return self.credential.is_usable()

    @property
    def last_at(self) -> datetime | None:
        """When any of its secrets was last used."""
        used = (self.credential.last_used_at, self.credential.previous_last_used_at)
        return max((at for at in used if at), default=None)

    @property
    def address(self) -> str:
        return str(getattr(self.credential, "last_address", None) or "")

    @property
    def life(self) -> dict[str, Any]:
        """Its end in words, and the part of its life that is gone, in hundredths."""
        made = self.credential.rotated_at or self.credential.created_at
        end = self.credential.expires_at
        if end is None:
            return {"words": f"No expiry, {span(self.now - made)} old", "gone": None, "tone": ""}
        left, whole = end - self.now, end - made
        gone = 100 * min(max((whole - left) / whole, 0), 1) if whole > timedelta() else 100
        verb = "Expires" if left > timedelta() else "Expired"
        if left > DAY:
            year = "" if end.year == self.now.year else f" {end.year}"
            words = f"{verb} {short_day(timezone.localdate(end))}{year}, in {span(left)}"
        else:
            words = f"{verb} {absolute_time(end, self.now)}"
        return {
            "words": words,
            "gone": f"{gone:.1f}",
            "tone": "warn" if self.advice and self.advice.tone == "warn" else "",
        }

    @property
    def is_done(self) -> bool:
        """Whether its rotation can be completed."""
        return bool(self.secrets) and can_end(list(self.secrets), self.now)


@dataclass(frozen=True)
class Cards:
    noteworthy: Sequence[Card] = ()
    others: Sequence[Card] = ()
    ended: Sequence[Card] = ()
    totals: Mapping[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> list[Card]:
        return [*self.noteworthy, *self.others]

    @property
    def summary(self) -> str:
        if not self.live:
            return "None works at present." if self.ended else ""
        rotating = sum(bool(card.secrets) for card in self.live)
        words = [counted(len(self.live), "credentials").replace(" credential", " live credential")]
        words += [f"{rotating} in rotation"] if rotating else []
        return f"{', '.join(words)}. Bars are tokens by day (UTC)."


def span(length: timedelta) -> str:
    if length < HOUR:
        return "less than an hour"
    return counted(length.days, "days") if length >= 3 * DAY else duration(length)


def with_last_address(credentials: CredentialQuerySet) -> CredentialQuerySet:
    """Annotate the address of each one's last use, from the minutes in which that was."""
    near = TokenEvent.objects.filter(
        organization=OuterRef("organization"),
        agent=OuterRef("agent"),
        credential=OuterRef("pk"),
        outcome=TokenEvent.Outcome.ISSUED,
        created_at__gte=OuterRef("last_used_at") - ACCURACY,
        created_at__lt=OuterRef("last_used_at") + 2 * ACCURACY,
    ).order_by("-created_at")
    return credentials.annotate(last_address=Subquery(near.values("ip_address")[:1]))


def cards_of(agent: Agent, usage: AgentUsage, strip: Strip, now: datetime) -> Cards:
    """The agent's credentials: those that ask for a deed first, then the busiest."""
    rows = Credential.objects.for_organization(agent.organization).filter(agent=agent)
    credentials = list(with_last_address(rows.with_usability()))
    for credential in credentials:
        credential.agent = agent
    issued = {
        each.pk: sum(usage.on(each.pk, day).issued for day in strip.days) for each in credentials
    }
    live = with_live_tokens(agent, list(issued), issued)
    rotating = secrets_of(agent, credentials, now)
    cards = []
    for credential in credentials:
        secrets = rotating.get(credential.pk, [])
        used = live[credential.pk]
        query = {"agent": agent.pk, "credential": credential.pk, "days": DAYS, "tz": "UTC"}
        cards.append(
            Card(
                credential,
                used,
                revocation_of(credential, used),
                bars(credential, usage, secrets, strip),
                f"{reverse('tokens:list')}?{urlencode(query)}",
                now,
                secrets,
                ending_of(credential, secrets) if secrets else None,
                advice(credential, used, secrets, now) if agent.is_active else None,
            )
        )
    working = [card for card in cards if card.is_live]
    working.sort(key=lambda card: -card.usage.issued)
    return Cards(
        [card for card in working if card.advice or card.secrets],
        [card for card in working if not card.advice and not card.secrets],
        [card for card in cards if not card.is_live],
    )


def advice(
    credential: Credential, used: CredentialUsage, secrets: list[SecretUsage], now: datetime
) -> Advice | None:
    """Only what was checked, and nothing where there is no reason."""
    if secrets:
        if can_end(secrets, now):
            lead = "Safe to end." if len(secrets) == 2 else "Safe to end them."
            return Advice("good", lead, carried_by(secrets[0], now))
        return Advice(
            "",
            "Keep both for now." if len(secrets) == 2 else "Keep them for now.",
            verdict(secrets, now),
        )
    if not credential.is_usable():
        return None
    end, last = credential.expires_at, credential.last_used_at
    is_used = last is not None and now - last <= UNUSED_AFTER
    if end is not None and is_used and end - now <= EXPIRING_WITHIN:
        renewed = credential.renewed_end(now)
        until = (
            f" The new secret would work until {short_day(renewed.date())} {renewed.year}."
            if renewed
            else ""
        )
        tokens = f"It got {counted(used.issued, 'tokens')} in {DAYS} days."
        return Advice("warn", f"Rotate before {absolute_time(end, now)}.", f"{tokens}{until}")
    if used.live_tokens or is_used:
        return None
    if last is not None:
        reason = f"Unused for {span(now - last)}, and no live token depends on it."
        return Advice("good", "Safe to revoke.", reason)
    age = now - (credential.rotated_at or credential.created_at)
    if age >= NEVER_USED_AFTER:
        reason = f"It has got no token in the {span(age)} since it was made."
        return Advice("good", "Safe to revoke.", reason)
    return None


def carried_by(new: SecretUsage, now: datetime) -> str:
    """What the new secret did since the rotation, where the old ones can end."""
    last = f", the last at {absolute_time(new.last_at, now)}" if new.last_at else ""
    return f"…{new.hint} has got {counted(new.issued, 'tokens')} since the rotation{last}."


def bars(
    credential: Credential,
    usage: AgentUsage,
    secrets: Sequence[SecretUsage],
    strip: Strip,
) -> dict[str, Any]:
    """A bar for each day. In rotation it is divided into old and new secret, by which its tokens
    were counted; after one, only whole days before it are known to be the old secret's.
    """
    counts = {day: usage.on(credential.pk, day).issued for day in strip.days}
    most = max(counts.values(), default=0)
    rotated_on = credential.rotated_at.astimezone(UTC).date() if credential.rotated_at else None
    if rotated_on is not None and rotated_on < strip.first:
        rotated_on = None
    new = dict(secrets[0].days) if secrets else {}
    width = 100 / DAYS
    drawn = []
    for place, (day, count) in enumerate(counts.items()):
        if rotated_on is None or (day > rotated_on and not secrets):
            of_new = count
        elif secrets:
            of_new = min(new.get(day, 0), count)
        else:
            of_new = count if day == rotated_on else 0
        drawn.append(_bar(day, count, of_new, most, place * width, width, bool(secrets), strip))
    highest = max(counts, key=lambda day: counts[day]) if most else None
    label = f"Tokens by day: at most {most:,}, on {short_day(highest)}" if highest else ""
    return {
        "days": drawn,
        "label": label,
        "is_split": rotated_on is not None,
        "rotated": f"{strip.days.index(rotated_on) * width:.2f}" if rotated_on else "",
        "first": short_day(strip.first),
        "middle": short_day(strip.days[DAYS // 2]),
        "height": HEIGHT,
    }


def _bar(
    day: date,
    count: int,
    of_new: int,
    most: int,
    x: float,
    width: float,
    is_rotating: bool,
    strip: Strip,
) -> dict[str, Any]:
    whole = max(HEIGHT * count / most, 2) if count else 0
    upper = whole * of_new / count if count else 0
    split = f", {of_new:,} with the new secret" if is_rotating and count else ""
    return {
        "x": f"{x + 0.12 * width:.2f}%",
        "width": f"{0.76 * width:.2f}%",
        "new_y": f"{HEIGHT - whole:.1f}",
        "new_height": f"{upper:.1f}" if upper else "",
        "old_y": f"{HEIGHT - whole + upper:.1f}",
        "old_height": f"{whole - upper:.1f}" if whole > upper else "",
        "is_today": day == strip.today,
        "title": f"{short_day(day)}: {counted(count, 'tokens')}{split}" if count else "",
    }
