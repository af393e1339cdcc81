"""Token requests as lines: those of an hour that are alike share one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import TruncHour

from agents.models import Agent
from analytics.requests.filters import RequestFilters
from analytics.requests.rows import newest_since, rows_of
from analytics.requests.window import Window
from organizations.models import Organization, OrganizationScopedQuerySet
from tokens.models import Credential, TokenEvent

ALIKE = (
    *("agent_id", "credential_id", "secret_hint", "outcome", "reason", "scope", "resource"),
    "starts",
)
"""What the requests of a line have in common; `starts` is the hour."""
MAX_FOLDED = 10_000
"""Events of a window that are folded into lines; of more, the newest."""
RHYTHM_OF = 3
"""Requests from which on a line has a rhythm."""


@dataclass
class Fold:
    """Requests of one hour with the same agent, secret, outcome, reason, scopes and resource."""

    newest: TokenEvent
    """Not stored, with what they have in common."""
    first_at: datetime
    last_at: datetime
    starts: datetime
    rows: int
    """The number of events; each stands for `times` requests, which is more than one only for
    introspections.
    """
    times: int
    addresses: tuple[str, ...]

    @property
    def pk(self) -> str:
        """Names the line among the others, as long as its last request is the last."""
        return f"{self.last_at.timestamp():.6f}"

    @property
    def every(self) -> timedelta | None:
        """The mean time between two of its requests, if there are enough for a rhythm."""
        is_rhythm = self.rows >= RHYTHM_OF and self.last_at > self.first_at
        return (self.last_at - self.first_at) / (self.rows - 1) if is_rhythm else None


@dataclass(frozen=True)
class Folds:
    """The lines of a window, of its newest events where it has more than are read."""

    organization: Organization
    window: Window
    filters: RequestFilters
    since: datetime | None
    """Only later events are in the lines; None for all of the window."""

    @classmethod
    def of(
        cls,
        organization: Organization,
        window: Window,
        filters: RequestFilters,
        *,
        most: int = MAX_FOLDED,
    ) -> "Folds":
        return cls(
            organization, window, filters, newest_since(organization, filters, window, most=most)
        )

    def count(self) -> int:
        return self._grouped().annotate(number=Count("pk")).count()

    def page(self, first: int, most: int) -> list[Fold]:
        """The lines from the number `first`, the newest first."""
        groups = self._grouped().annotate(
            first_at=Min("created_at"),
            last_at=Max("created_at"),
            number=Count("pk"),
            sum=Sum("times"),
            name=Max("credential_name"),
            found=ArrayAgg("ip_address", distinct=True, default=[]),
        )
        ordered = groups.order_by("-last_at", *ALIKE)
        return _folds(self.organization, list(ordered[first : first + most]))

    def events(self, fold: Fold, most: int) -> Sequence[TokenEvent]:
        """The newest events of a line."""
        alike = {name: getattr(fold.newest, name) for name in ALIKE[:-1]}
        span = {"created_at__gte": fold.first_at, "created_at__lte": fold.last_at}
        rows = self._with_hours().filter(**alike, **span, starts=fold.starts)
        found = rows.select_related("agent", "credential").order_by("-created_at", "-id")
        return list(found[:most])

    def _with_hours(self) -> OrganizationScopedQuerySet:
        rows = rows_of(self.organization, self.filters, self.window, since=self.since)
        return rows.annotate(starts=TruncHour("created_at", tzinfo=self.window.zone))

    def _grouped(self) -> Any:
        return self._with_hours().values(*ALIKE).order_by()


def _folds(organization: Organization, groups: Sequence[dict[str, Any]]) -> list[Fold]:
    agents: dict[UUID, Agent] = Agent.objects.for_organization(organization).in_bulk(
        {group["agent_id"] for group in groups if group["agent_id"]}
    )
    credentials: dict[UUID, Credential] = Credential.objects.for_organization(organization).in_bulk(
        {group["credential_id"] for group in groups if group["credential_id"]}
    )
    return [
        Fold(
            newest=_event(
                group, agents.get(group["agent_id"]), credentials.get(group["credential_id"])
            ),
            first_at=group["first_at"],
            last_at=group["last_at"],
            starts=group["starts"],
            rows=group["number"],
            times=group["sum"],
            addresses=tuple(address for address in group["found"] if address),
        )
        for group in groups
    ]


def _event(group: dict[str, Any], agent: Agent | None, credential: Credential | None) -> TokenEvent:
    alike = {
        name: group[name] for name in ("secret_hint", "outcome", "reason", "scope", "resource")
    }
    return TokenEvent(
        **alike,
        credential_name=group["name"],
        agent=agent,
        credential=credential,
        created_at=group["last_at"],
        # Without a hint, it is not known which secret of a rotated credential it was.
        used_previous_secret=not group["secret_hint"],
    )
