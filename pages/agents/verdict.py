"""The sentence on top of an agent's page, with its one action."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from agents.models import Agent
from analytics.agent_usage import HOURS, NEWEST, NewestRequests
from analytics.findings.codes import BAD
from analytics.findings.finding import Finding
from core.formatting import absolute_time, counted, time_phrase
from pages.agents.changes import reactivation_of
from pages.agents.credential_cards import Cards
from pages.agents.secret_usage import last_of, shown_name
from pages.charts import shown_finding
from pages.confirmation import Confirmation


@dataclass(frozen=True)
class Verdict:
    """One sentence about what was checked, and at most one action: a link or a confirmation."""

    tone: str
    text: str
    lead: str = ""
    detail: str = ""
    label: str = ""
    url: str = ""
    asked: Confirmation | None = None
    is_change: bool = False
    """Whether its action changes the agent or its credentials."""
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
        or of_finding(agent, cards, [each for each in findings if each.severity == BAD])
        or of_missing_credential(agent, cards)
        or of_rotation(cards)
        or of_finding(agent, cards, findings)
        or plain(cards, newest, now)
    )
    return found if may_write else without_change(found)


def without_change(found: Verdict) -> Verdict:
    """For those who may not change the agent."""
    return replace(found, label="", url="", asked=None) if found.is_change else found


def of_status(agent: Agent) -> Verdict | None:
    if agent.is_decommissioned:
        return Verdict("", "It no longer gets tokens. Its history stays.", "Decommissioned.")
    if not agent.is_active:
        text = "It gets no tokens, and those it had no longer work."
        return Verdict("warn", text, "Suspended.", asked=reactivation_of(agent), is_change=True)
    return None


def of_finding(agent: Agent, cards: Cards, findings: Sequence[Finding]) -> Verdict | None:
    for finding in findings:
        shown = shown_finding(finding)
        verdict = Verdict(
            finding.severity, finding.text, finding.subject, finding.detail, finding=finding
        )
        if finding.rows:
            return replace(verdict, label="See the requests", url=shown["url"])
        card = cards.of(finding.credential_id)
        if finding.code == "credential_expiring" and card is not None:
            label, address = "New credential", reverse("tokens:new_credential", args=[agent.pk])
            if card.is_live:
                label = f"Rotate …{finding.secret_hint}"
                address = reverse("tokens:rotate_credential", args=[agent.pk, card.credential.pk])
            return replace(verdict, label=label, url=address, is_change=True)
    return None


def of_missing_credential(agent: Agent, cards: Cards) -> Verdict | None:
    if cards.live:
        return None
    lead, text = "No credential yet.", "It cannot get a token until you create one."
    if cards.ended:
        lead, text = "No credential works.", "It cannot get a token until you create a new one."
    address = reverse("tokens:new_credential", args=[agent.pk])
    return Verdict("warn", text, lead, label="New credential", url=address, is_change=True)


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
            text = f"The old secret {name} has not been used since {since}; it is safe to end."
            button = "End the old one now"
        else:
            text = f"The old secrets{of} have not been used since {since}; they are safe to end."
            button = "End the old ones now"
        asked = replace(card.ending, button=button)
        return Verdict("good", text, "The rotation is done.", asked=asked, is_change=True)
    return None


def plain(cards: Cards, newest: NewestRequests, now: datetime) -> Verdict:
    """Who carried the requests of the last day, without judging them."""
    total = newest.requests
    if not total:
        if cards.last_at is None:
            return Verdict("", "It has not obtained a token yet.")
        none = f"No request in the last {HOURS} hours"
        if newest.has_more:
            none = f"None of its newest {NEWEST:,} requests was for a token"
        return Verdict("", f"{none}; its last token was {time_phrase(cards.last_at, now)}.")
    whole, carried = whole_of(newest), carriers(cards, newest)
    if total == 1 and not carried:
        return Verdict(
            "", f"{whole.capitalize()} came with no secret of this agent and was refused."
        )
    if total == 1:
        refused = ", which was refused" if newest.refused else ""
        return Verdict("", f"{name_of(cards, *next(iter(carried)))} carried {whole}{refused}.")
    number = "all" if newest.refused == total else f"{newest.refused:,}"
    refused = f", {number} of them refused" if newest.refused else ""
    if not carried:
        return Verdict("", f"None of {whole} came with a secret of this agent{refused}.")
    (carrier, most), *others = carried.most_common()
    name = name_of(cards, *carrier)
    if most == total:
        return Verdict("", f"{name} carried {all_of(newest)}{refused}.")
    rest = rest_of([requests for _, requests in others], total - carried.total())
    return Verdict("", f"{name} carried {most:,} of {whole}{refused}; {rest}.")


def whole_of(newest: NewestRequests) -> str:
    """The requests that were looked at."""
    total = newest.requests
    if newest.has_more:
        return f"the newest {counted(total, 'requests')}" if total > 1 else "the newest request"
    count = counted(total, "requests") if total > 1 else "only request"
    return f"the {count} of the last {HOURS} hours"


def all_of(newest: NewestRequests) -> str:
    total = newest.requests
    if newest.has_more:
        return f"all of {whole_of(newest)}"
    return f"{'both' if total == 2 else f'all {total:,}'} requests of the last {HOURS} hours"


def rest_of(others: Sequence[int], unproven: int) -> str:
    """Who sent the requests that the busiest secret did not carry."""
    if not others:
        return "the rest came with no secret of this agent"
    who = "another secret" if len(others) == 1 else f"{len(others):,} other secrets"
    if not unproven:
        return f"{who} carried the rest"
    return f"{who} carried {sum(others):,}, and {unproven:,} came with no secret of this agent"


def carriers(cards: Cards, newest: NewestRequests) -> Counter[tuple[UUID, str]]:
    """Requests by credential and hint. A request that kept no hint came with the credential's only
    secret if it has had no other.
    """
    found: Counter[tuple[UUID, str]] = Counter()
    for carrier in newest.carriers:
        card = cards.of(carrier.credential_id)
        if card is not None:
            credential = card.credential
            is_only = credential.rotated_at is None
            hint = carrier.hint or (credential.secret_hint if is_only else "")
            found[credential.pk, hint] += carrier.requests
    return found


def name_of(cards: Cards, credential_id: UUID, hint: str) -> str:
    """The secret at the beginning of a sentence."""
    card = cards.of(credential_id)
    name = card.credential.name if card else ""
    if not hint:
        return f"An earlier secret of {name}" if name else "An earlier secret"
    return f"{name} …{hint}" if name else f"…{hint}"


def untold(findings: Sequence[Finding], cards: Cards, verdict: Verdict) -> list[Finding]:
    """The findings that neither the verdict nor a credential's card tells."""
    return [each for each in findings if each != verdict.finding and not is_told(each, cards)]


def is_told(finding: Finding, cards: Cards) -> bool:
    """Whether the advice on a card says the same; a credential that ended has no card."""
    card = cards.of(finding.credential_id)
    is_advice = finding.code in ("credential_expiring", "credential_unused")
    return is_advice and card is not None and card.is_live
