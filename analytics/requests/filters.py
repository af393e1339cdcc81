"""The filters of token requests: each value that a list ranks can be demanded or excluded."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Self
from uuid import UUID

from django.db.models import Q

from tokens.models import HINT_LENGTH, TokenEvent

Outcome = TokenEvent.Outcome
ANSWERED = (str(Outcome.ISSUED), str(Outcome.REFUSED))
REQUESTS = "requests"
"""The filter for tokens issued and refused, which is the default."""
AGENTS, SECRETS, ADDRESSES, OUTCOMES = "agents", "secrets", "addresses", "outcomes"
LISTS = (AGENTS, SECRETS, ADDRESSES, OUTCOMES)
ID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
SECRET = f"{ID}(:[0-9A-Za-z_-]{{0,{HINT_LENGTH}}})?"
UNKNOWN = UUID(int=2**128 - 1)
"""The id of no agent and no credential: nothing matches it."""


@dataclass(frozen=True)
class Secret:
    """A credential or, with a hint, one of the secrets that it has had."""

    credential_id: UUID
    hint: str | None = None
    """The secret's last characters; empty for requests that did not keep them."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<id>` or `<id>:<hint>`. Raise ValueError for anything else."""
        if not re.fullmatch(SECRET, text):
            raise ValueError("Must be the id of a credential.")
        key, colon, hint = text.partition(":")
        return cls(UUID(key), hint if colon else None)

    def __str__(self) -> str:
        hint = "" if self.hint is None else f":{self.hint}"
        return f"{self.credential_id}{hint}"

    @property
    def condition(self) -> Q:
        wanted = Q(credential_id=self.credential_id)
        return wanted if self.hint is None else wanted & Q(secret_hint=self.hint)

    def covers(self, other: "Secret") -> bool:
        return self in (other, Secret(other.credential_id))


@dataclass(frozen=True)
class RequestFilters:
    """Filters for token requests. Empty text, None and () mean: no restriction."""

    agent_id: UUID | None = None
    secret: Secret | None = None
    address: str = ""
    outcome: str = REQUESTS
    """`requests` or an outcome."""
    reason: str = ""
    resource: str = ""
    dow: int | None = None
    """The day of the week in the window's zone; 0 is Sunday."""
    hour: int | None = None
    not_agents: tuple[UUID, ...] = ()
    not_secrets: tuple[Secret, ...] = ()
    not_addresses: tuple[str, ...] = ()
    not_reasons: tuple[str, ...] = ()
    parts: dict[str, Q] = field(init=False, compare=False, repr=False)
    """The conditions by the list that each of them narrows; `""` for all others."""

    def __post_init__(self) -> None:
        parts = {
            AGENTS: _wanted(agent_id=self.agent_id) & ~Q(agent_id__in=self.not_agents),
            SECRETS: self.secret.condition if self.secret else Q(),
            ADDRESSES: _wanted(ip_address=self.address) & ~Q(ip_address__in=self.not_addresses),
            OUTCOMES: Q(outcome__in=self.outcomes)
            & _wanted(reason=self.reason)
            & ~Q(reason__in=self.not_reasons),
            "": _wanted(resource=self.resource),
        }
        for secret in self.not_secrets:
            parts[SECRETS] &= ~secret.condition
        object.__setattr__(self, "parts", parts)

    @property
    def outcomes(self) -> tuple[str, ...]:
        return ANSWERED if self.outcome == REQUESTS else (self.outcome,)

    def conditions(self, ignoring: str = "") -> Q:
        """The conditions of all filters but those by which the list `ignoring` is narrowed.

        That list has all issued and refused requests, or what the filter asks for instead.
        """
        wanted = Q()
        for name, part in self.parts.items():
            if not name or name != ignoring:
                wanted &= part
        if ignoring == OUTCOMES:
            shown = ANSWERED if self.outcome in (REQUESTS, *ANSWERED) else self.outcomes
            wanted &= Q(outcome__in=shown)
        return wanted

    @property
    def are_by_day(self) -> bool:
        """Whether counts by day, agent and credential can answer: nothing else is asked for."""
        secrets = (*self.not_secrets, *([self.secret] if self.secret else []))
        return not (
            self.address
            or self.reason
            or self.resource
            or self.dow is not None
            or self.hour is not None
            or self.not_addresses
            or self.not_reasons
            or any(secret.hint is not None for secret in secrets)
        )

    @property
    def are_by_hour(self) -> bool:
        """Whether counts by hour can answer: of all agents and credentials."""
        return self.are_by_day and not (
            self.agent_id or self.secret or self.not_agents or self.not_secrets
        )

    def usage_conditions(self, ignoring: str = "") -> Q:
        """The conditions for counts by day, agent and credential."""
        return Q(
            *(self.parts[name] for name in (AGENTS, SECRETS) if name != ignoring),
        )


def parse_address(text: str) -> str:
    """The IP address in the form in which PostgreSQL writes it. Raise ValueError for no address."""
    if "%" in text:
        raise ValueError("PostgreSQL knows no zones of an address.")
    return str(ip_address(text))


def _wanted(**equal: Any) -> Q:
    return Q(**{name: value for name, value in equal.items() if value})
