"""The values that requests have in common, named and ready to be shown."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.models import Agent
from analytics.requests.filters import (
    ADDRESSES,
    AGENTS,
    OUTCOMES,
    REQUESTS,
    SECRETS,
    RequestFilters,
    Secret,
)
from organizations.models import Organization
from tokens.models import Credential, TokenEvent

Group = dict[str, Any]
REASONS = {str(value): str(label) for value, label in TokenEvent.Reason.choices}


@dataclass(frozen=True)
class RankedValue:
    """A value with its requests in the window and in the previous one."""

    key: str
    """The value as a filter has it; empty where there is none, such as an unknown address."""
    name: str
    count: int
    before: int | None = None
    """None if it is not known."""
    hint: str = ""
    """Of a secret: its last characters."""
    outcome: str = ""
    """In the list of outcomes, where the key is the reason of a refusal, or the outcome."""
    is_chosen: bool = False
    is_excluded: bool = False
    matches: bool = True
    """Whether the list's own filters let it through. It is listed all the same: a list ignores
    its own filters, so that a value is seen beside the others.
    """

    @property
    def label(self) -> str:
        """Name and, of a secret, hint."""
        return " ".join(filter(None, (self.name, self.hint and f"…{self.hint}")))

    @property
    def change(self) -> int | None:
        return None if self.before is None else self.count - self.before

    @property
    def is_new(self) -> bool:
        return self.before == 0 and self.count > 0


@dataclass(frozen=True)
class Ranking:
    """The values of a list, those with the most requests first."""

    values: tuple[RankedValue, ...] = ()
    is_compared: bool = True
    is_cut: bool = False
    """There are more values than these."""
    since: datetime | None = None
    """It counts only later requests; None for all of the window."""

    @property
    def matching(self) -> tuple[RankedValue, ...]:
        """The values that the list's own filters let through."""
        return tuple(value for value in self.values if value.matches)


def ranked(
    name: str, organization: Organization, filters: RequestFilters, groups: Sequence[Group]
) -> tuple[RankedValue, ...]:
    """The values of the list `name`, in the order of its groups."""
    return tuple(_READERS[name](organization, filters, groups))


def _agents(
    organization: Organization, filters: RequestFilters, groups: Sequence[Group]
) -> list[RankedValue]:
    agents = Agent.objects.for_organization(organization).order_by()
    found = agents.filter(pk__in={group["agent_id"] for group in groups})
    emails = dict(found.values_list("pk", "email"))
    return [
        _value(
            group,
            key=str(group["agent_id"] or ""),
            name=emails.get(group["agent_id"], "").partition("@")[0],
            chosen=None if filters.agent_id is None else group["agent_id"] == filters.agent_id,
            is_excluded=group["agent_id"] in filters.not_agents,
        )
        for group in groups
    ]


def _secrets(
    organization: Organization, filters: RequestFilters, groups: Sequence[Group]
) -> list[RankedValue]:
    """The secrets, each with the name that was stored with its requests.

    Requests without a hint were made with the credential's only secret if it has had no other.
    """
    without_hint = {group["credential_id"] for group in groups if not group["secret_hint"]} - {None}
    credentials = (
        Credential.objects.for_organization(organization)
        .only("name", "secret_hint", "rotated_at")
        .in_bulk(without_hint)
    )
    merged: dict[tuple[UUID | None, str], Group] = {}
    for group in groups:
        credential = credentials.get(group["credential_id"])
        hint, name = group["secret_hint"], group["name"]
        if credential is not None and not hint:
            name = credential.name
            hint = credential.secret_hint if credential.rotated_at is None else ""
        empty = {"count": 0, "before": 0, "name": ""}
        one = merged.setdefault((group["credential_id"], hint), empty)
        one["name"] = one["name"] or name
        one["count"] += group["count"]
        one["before"] = None if group["before"] is None else one["before"] + group["before"]
    number = Counter(credential_id for credential_id, _ in merged)
    found = [
        _secret(filters, group, credential_id, hint, is_only=number[credential_id] == 1)
        for (credential_id, hint), group in merged.items()
    ]
    return sorted(found, key=lambda value: -value.count)


def _secret(
    filters: RequestFilters, group: Group, credential_id: UUID | None, hint: str, *, is_only: bool
) -> RankedValue:
    """The secret; without its hint in the key if its credential has had no other in the list."""
    secret = None if credential_id is None else Secret(credential_id, hint)
    key = "" if credential_id is None else str(Secret(credential_id) if is_only else secret)
    return _value(
        group,
        key=key,
        name=group["name"],
        hint=hint,
        chosen=None
        if filters.secret is None
        else secret is not None and filters.secret.covers(secret),
        is_excluded=secret is not None and any(each.covers(secret) for each in filters.not_secrets),
    )


def _addresses(
    organization: Organization, filters: RequestFilters, groups: Sequence[Group]
) -> list[RankedValue]:
    return [
        _value(
            group,
            key=group["ip_address"] or "",
            name=group["ip_address"] or "",
            chosen=group["ip_address"] == filters.address if filters.address else None,
            is_excluded=group["ip_address"] in filters.not_addresses,
        )
        for group in groups
    ]


def _outcomes(
    organization: Organization, filters: RequestFilters, groups: Sequence[Group]
) -> list[RankedValue]:
    """Issued requests as one value, refused ones by their reason in words."""
    found = []
    for group in groups:
        outcome, reason = group["outcome"], group["reason"]
        chosen = None
        if filters.reason:
            chosen = reason == filters.reason
        elif filters.outcome != REQUESTS:
            chosen = outcome == filters.outcome
        found.append(
            _value(
                group,
                key=reason or outcome,
                name=REASONS[reason].lower() if reason in REASONS else outcome,
                outcome=outcome,
                chosen=chosen,
                is_excluded=bool(reason) and reason in filters.not_reasons,
            )
        )
    return found


def _value(group: Group, *, chosen: bool | None, is_excluded: bool, **texts: str) -> RankedValue:
    """`chosen` is None if no filter demands a value."""
    return RankedValue(
        count=group["count"],
        before=group["before"],
        is_chosen=bool(chosen),
        is_excluded=is_excluded,
        matches=chosen is not False and not is_excluded,
        **texts,
    )


_READERS: dict[
    str,
    Callable[[Organization, RequestFilters, Sequence[Group]], list[RankedValue]],
] = {AGENTS: _agents, SECRETS: _secrets, ADDRESSES: _addresses, OUTCOMES: _outcomes}
