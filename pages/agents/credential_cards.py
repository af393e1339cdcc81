"""The credentials on an agent's page: a card for each that needs a look, a line for the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from analytics.agent_usage import AgentUsage
from core.days import DAY
from core.formatting import absolute_time, counted, day_of
from pages.agents.credential_advice import Advice, advice, span
from pages.agents.credential_bars import bars
from pages.agents.credential_usage import DAYS, CredentialUsage, usage_of
from pages.agents.credentials import ending_of, revocation_of
from pages.agents.secret_usage import SecretUsage, can_end, secrets_of
from pages.confirmation import Confirmation
from pages.figures import Strip
from tokens.models import Credential, CredentialQuerySet, TokenEvent

ACCURACY = timedelta(minutes=1)
"""Of the last use of a credential."""


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
    snooze: Mapping[str, str] | None = None
    """How to snooze the finding that the advice tells."""

    @property
    def is_live(self) -> bool:
        return self.credential.is_usable()

    @property
    def address(self) -> str:
        return str(getattr(self.credential, "last_address", None) or "")

    @property
    def life(self) -> dict[str, Any]:
        """Its end in words, and the part of its lifetime that has passed, in hundredths."""
        made = self.credential.secret_made_at
        end = self.credential.expires_at
        if end is None:
            return {"words": f"No expiry, {span(self.now - made)} old", "gone": None, "tone": ""}
        left, whole = end - self.now, end - made
        gone = 100 * min(max((whole - left) / whole, 0), 1) if whole > timedelta() else 100
        if left > DAY:
            days = (timezone.localdate(end) - timezone.localdate(self.now)).days
            words = f"Expires {day_of(end, self.now)}, in {counted(days, 'days')}"
        else:
            words = f"Expires {absolute_time(end, self.now)}"
        return {
            "words": words,
            "gone": f"{gone:.1f}",
            "tone": "warn" if self.advice and self.advice.tone == "warn" else "",
        }

    @property
    def is_done(self) -> bool:
        """Whether its rotation can be completed."""
        return bool(self.secrets) and can_end(self.secrets, self.now)


@dataclass(frozen=True)
class Cards:
    noteworthy: Sequence[Card] = ()
    others: Sequence[Card] = ()
    ended: Sequence[Card] = ()

    @property
    def live(self) -> list[Card]:
        return [*self.noteworthy, *self.others]

    @property
    def all(self) -> list[Card]:
        return [*self.live, *self.ended]

    @property
    def last_at(self) -> datetime | None:
        """When any of them was last used."""
        used = (card.credential.last_used_at for card in self.all)
        return max((at for at in used if at), default=None)

    @property
    def summary(self) -> str:
        if not self.live:
            return "None works at present." if self.ended else ""
        rotating = sum(bool(card.secrets) for card in self.live)
        words = [counted(len(self.live), "live credentials")]
        words += [f"{rotating} in rotation"] if rotating else []
        return f"{', '.join(words)}. Bars show tokens by day (UTC)."

    def with_snoozes(self, snoozes: Mapping[UUID, Mapping[str, str]]) -> Self:
        """The cards with the way to snooze what each tells, by credential."""
        told = [replace(card, snooze=snoozes.get(card.credential.pk)) for card in self.noteworthy]
        return replace(self, noteworthy=told)

    def of(self, credential_id: UUID | None) -> Card | None:
        found = (card for card in self.all if card.credential.pk == credential_id)
        return next(found, None)


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
    """The agent's credentials: those that ask for an action first, then the busiest."""
    rows = Credential.objects.for_organization(agent.organization).filter(agent=agent)
    credentials = list(with_last_address(rows.with_usability()))
    for credential in credentials:
        credential.agent = agent
    issued = {
        each.pk: sum(usage.on(each.pk, day).issued for day in strip.days) for each in credentials
    }
    used = usage_of(agent, credentials, issued)
    rotating = secrets_of(agent, credentials, now)
    cards = [
        card_of(credential, used[credential.pk], rotating.get(credential.pk, ()), usage, strip, now)
        for credential in credentials
    ]
    working = [card for card in cards if card.is_live]
    working.sort(key=lambda card: -card.usage.issued)
    return Cards(
        [card for card in working if card.advice or card.secrets],
        [card for card in working if not card.advice and not card.secrets],
        [card for card in cards if not card.is_live],
    )


def card_of(
    credential: Credential,
    used: CredentialUsage,
    secrets: Sequence[SecretUsage],
    usage: AgentUsage,
    strip: Strip,
    now: datetime,
) -> Card:
    agent = credential.agent
    query = {"agent": agent.pk, "credential": credential.pk, "days": DAYS, "tz": "UTC"}
    return Card(
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
