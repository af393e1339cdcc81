"""The sentence on top of an agent's page, with its one deed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from agents.models import Agent
from analytics.agent_usage import HOURS, NEWEST, NewestRequests
from analytics.findings.finding import BAD, Finding
from core.formatting import absolute_time, counted
from pages.agents.changes import reactivation_of
from pages.agents.credential_cards import Cards
from pages.agents.secret_usage import last_of, shown_name
from pages.charts import shown_finding
from pages.confirmation import Confirmation
from tokens.models import Credential


@dataclass(frozen=True)
class Verdict:
    """One sentence about what was checked, and at most one deed: a link or a confirmation."""

    tone: str
    text: str
    lead: str = ""
    detail: str = ""
    label: str = ""
    url: str = ""
    asked: Confirmation | None = None
    finding: Finding | None = None
    """The one that it tells."""


def verdict_of(
    agent: Agent,
    cards: Cards,
    newest: NewestRequests,
    findings: Sequence[Finding],
    now: datetime,
    *,
    may_write: bool,
) -> Verdict:
    """The first of these that holds; the plain sentence if none does."""
    found = (
        of_status(agent)
        or of_finding(agent, [each for each in findings if each.severity == BAD])
        or of_missing_credential(agent, cards)
        or of_rotation(cards)
        or of_finding(agent, findings)
        or plain(cards, newest, now)
    )
    return found if may_write else without_change(found)


def without_change(found: Verdict) -> Verdict:
    """For those who may not change the agent."""
    is_change = found.asked is not None or "/credentials/" in found.url
    return replace(found, label="", url="", asked=None) if is_change else found


def of_status(agent: Agent) -> Verdict | None:
    if agent.is_decommissioned:
        return Verdict("", "It gets no tokens any more. Its history stays.", "Decommissioned.")
    if not agent.is_active:
        text = "It gets no tokens, and those it had do not work."
        return Verdict("warn", text, "Suspended.", asked=reactivation_of(agent))
    return None


def of_finding(agent: Agent, findings: Sequence[Finding]) -> Verdict | None:
    for finding in findings:
        shown = shown_finding(finding)
        verdict = Verdict(
            finding.severity, finding.text, finding.subject, finding.detail, finding=finding
        )
        if finding.rows:
            return replace(verdict, label="See the requests", url=shown["url"])
        if finding.code == "credential_expiring" and finding.credential_id:
            has_expired = not finding.numbers.get("hoursLeft") and "refusedCount" in finding.numbers
            if has_expired:
                address = reverse("tokens:new_credential", args=[agent.pk])
                return replace(verdict, label="New credential", url=address)
            address = reverse("tokens:rotate_credential", args=[agent.pk, finding.credential_id])
            return replace(verdict, label=f"Rotate …{finding.secret_hint}", url=address)
    return None


def of_missing_credential(agent: Agent, cards: Cards) -> Verdict | None:
    if cards.live:
        return None
    lead, text = "No credential yet.", "It cannot get a token until you create one."
    if cards.ended:
        lead, text = "No credential works.", "It gets no token until you create a new one."
    address = reverse("tokens:new_credential", args=[agent.pk])
    return Verdict("warn", text, lead, label="New credential", url=address)


def of_rotation(cards: Cards) -> Verdict | None:
    """A rotation that can be completed."""
    for card in cards.noteworthy:
        if not card.is_done or not card.ending:
            continue
        _, *old = card.secrets
        of = f" of {card.credential.name}" if card.credential.name else ""
        last = last_of(old)
        since = absolute_time(last.last_at, card.now) if last and last.last_at else "the rotation"
        if len(old) == 1:
            name = f"{shown_name(old[0])}{of}"
            text = f"The old secret {name} has not been used since {since}; it can go."
            button = "End the old one now"
        else:
            text = f"The old secrets{of} have not been used since {since}; they can go."
            button = "End the old ones now"
        asked = replace(card.ending, button=button)
        return Verdict("good", text, "The rotation is done.", asked=asked)
    return None


def plain(cards: Cards, newest: NewestRequests, now: datetime) -> Verdict:
    """Who carried the requests of the last day, without judging them."""
    if not newest.requests:
        last = max((card.last_at for card in cards.live if card.last_at), default=None)
        if last is None:
            return Verdict("", "It has not got a token yet.")
        return Verdict(
            "",
            f"No request in the last {HOURS} hours; its last token was at "
            f"{absolute_time(last, now)}.",
        )
    carried = carriers(cards, newest)
    total = newest.requests
    refused = f", {newest.refused:,} of them refused" if newest.refused else ""
    if newest.has_more:
        whole = f"newest {NEWEST:,} requests"
    else:
        whole = f"{counted(total, 'requests')} of the last {HOURS} hours"
    if not carried:
        return Verdict("", f"None of the {whole} came with a secret of this agent{refused}.")
    (card, hint), most = carried.most_common(1)[0]
    name = secret_name(cards, card, hint)
    if most == total:
        if total == 1:
            return Verdict(
                "", f"{name} carried the only request of the last {HOURS} hours{refused}."
            )
        return Verdict("", f"{name} carried all {whole}{refused}.")
    others = len(carried) - 1
    rest = f"{counted(others, 'other secrets')} the rest" if others else "the rest proved no secret"
    return Verdict("", f"{name} carried {most:,} of the {whole}{refused}; {rest}.")


def carriers(cards: Cards, newest: NewestRequests) -> Counter[tuple[UUID, str]]:
    """Requests by credential and hint. A request that kept no hint came with the credential's only
    secret if it has had no other.
    """
    known = {card.credential.pk: card.credential for card in (*cards.live, *cards.ended)}
    found: Counter[tuple[UUID, str]] = Counter()
    for carrier in newest.carriers:
        credential = known.get(carrier.credential_id) if carrier.credential_id else None
        if credential is not None:
            is_only = credential.rotated_at is None
            hint = carrier.hint or (credential.secret_hint if is_only else "")
            found[credential.pk, hint] += carrier.requests
    return found


def secret_name(cards: Cards, credential_id: UUID, hint: str) -> str:
    credential: Credential = next(
        card.credential
        for card in (*cards.live, *cards.ended)
        if card.credential.pk == credential_id
    )
    shown = f"…{hint}" if hint else "an earlier secret"
    if credential.name:
        return f"{credential.name} {shown}"
    return shown if hint else "An earlier secret"


def told_elsewhere(card_findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    """The findings that neither the verdict nor a credential's card tells."""
    return [
        each
        for each in card_findings
        if each != verdict.finding and each.code not in ("credential_expiring", "credential_unused")
    ]
