"""An agent's token requests for its page: by day from a rollup, and the newest ones."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection

from agents.models import Agent
from analytics.models import AgentDayUsage
from core.days import DAY
from organizations.models import Organization
from tokens.models import TokenEvent

NEWEST = 10_000
"""So many of an agent's token events are looked at; those before them are only counted by day."""
NEWEST_DAYS = 30
HOURS = 24


@dataclass(frozen=True)
class UsageDay:
    """Token requests of a day."""

    issued: int = 0
    refused: int = 0

    def __add__(self, other: "UsageDay") -> "UsageDay":
        return UsageDay(self.issued + other.issued, self.refused + other.refused)


NOTHING = UsageDay()


@dataclass(frozen=True)
class AgentUsage:
    """An agent's days (UTC) by credential; NOBODY stands for requests without one."""

    by_credential: Mapping[UUID, Mapping[date, UsageDay]]

    @property
    def days(self) -> dict[date, UsageDay]:
        found: dict[date, UsageDay] = defaultdict(UsageDay)
        for days in self.by_credential.values():
            for day, usage in days.items():
                found[day] += usage
        return dict(found)

    def on(self, credential_id: UUID, day: date) -> UsageDay:
        return self.by_credential.get(credential_id, {}).get(day, NOTHING)


def agent_usage(agent: Agent, since: date) -> AgentUsage:
    """The agent's days from then on; days without requests are omitted."""
    rows = AgentDayUsage.objects.filter(
        organization_id=agent.organization_id, day__gte=since, agent_id=agent.pk
    ).values_list("credential_id", "day", "issued", "refused")
    found: dict[UUID, dict[date, UsageDay]] = defaultdict(dict)
    for credential_id, day, issued, refused in rows:
        found[credential_id][day] = UsageDay(issued, refused)
    return AgentUsage(dict(found))


def issued_by_day(
    organization: Organization, agents: Collection[UUID], days: Sequence[date]
) -> dict[UUID, dict[date, int]]:
    """The agents' issued tokens on these days; days without any are omitted."""
    # A row for each agent, and each day named: a range would read the days of all other agents.
    rows = (
        AgentDayUsage.objects.for_organization(organization)
        .filter(day__in=days, agent_id__in=agents, issued__gt=0)
        .values_list("agent_id")
        .annotate(days=ArrayAgg("day"), counts=ArrayAgg("issued"))
        .order_by()
    )
    found: dict[UUID, dict[date, int]] = {}
    for agent_id, on, counts in rows:
        sums = found[agent_id] = defaultdict(int)
        for day, count in zip(on, counts, strict=True):
            sums[day] += count
    return found


@dataclass(frozen=True)
class Carrier:
    """The requests of the last hours that came with one secret; without a credential, those that
    proved none.
    """

    credential_id: UUID | None
    hint: str
    """Empty where it was not stored."""
    issued: int
    refused: int

    @property
    def requests(self) -> int:
        return self.issued + self.refused


@dataclass(frozen=True)
class NewestRequests:
    """What is known of the newest requests of an agent."""

    carriers: tuple[Carrier, ...] = ()
    """Of the last 24 hours, the one with most requests first."""
    has_more: bool = False
    """Whether the last 24 hours have more events than were looked at."""
    granted: Mapping[str, datetime] = field(default_factory=dict)
    """Scopes, and when each was last in a token."""
    since: datetime | None = None
    """Since when the scopes are known; None if that is since the agent was registered."""

    @property
    def requests(self) -> int:
        return sum(carrier.requests for carrier in self.carriers)

    @property
    def refused(self) -> int:
        return sum(carrier.refused for carrier in self.carriers)


STATEMENT = """SELECT credential_id, secret_hint, outcome,
        CASE outcome WHEN 'issued' THEN scope ELSE '' END,
        count(*) FILTER (WHERE created_at >= %s), count(*), max(created_at), min(created_at)
    FROM (
        SELECT credential_id, secret_hint, outcome, scope, created_at FROM tokens_tokenevent
        WHERE organization_id = %s AND agent_id = %s AND created_at >= %s
        ORDER BY created_at DESC LIMIT %s
    ) AS newest
    GROUP BY 1, 2, 3, 4
"""


def newest_requests(agent: Agent, now: datetime) -> NewestRequests:
    """Look at no more than NEWEST events of NEWEST_DAYS in one statement."""
    recently, earliest = now - timedelta(hours=HOURS), now - NEWEST_DAYS * DAY
    counts: dict[tuple[UUID | None, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    granted: dict[str, datetime] = {}
    looked_at, oldest = 0, now
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, [recently, agent.organization_id, agent.pk, earliest, NEWEST])
        for credential_id, hint, outcome, scope, recent, number, last_at, first_at in cursor:
            looked_at, oldest = looked_at + number, min(oldest, first_at)
            if outcome in (TokenEvent.Outcome.ISSUED, TokenEvent.Outcome.REFUSED) and recent:
                counts[credential_id, hint][outcome] += recent
            for name in scope.split():
                granted[name] = max(granted.get(name, last_at), last_at)
    carriers = [
        Carrier(
            credential_id,
            hint,
            found[TokenEvent.Outcome.ISSUED],
            found[TokenEvent.Outcome.REFUSED],
        )
        for (credential_id, hint), found in counts.items()
    ]
    is_cut = looked_at == NEWEST
    since = oldest if is_cut else earliest
    return NewestRequests(
        tuple(sorted(carriers, key=lambda each: (-each.requests, each.hint))),
        has_more=is_cut and oldest > recently,
        granted=granted,
        since=None if not is_cut and agent.created_at >= since else since,
    )
