"""The effect of revoking a credential: its recent traffic and its live tokens."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, Max, OuterRef, Q, Sum
from django.utils import timezone

from agents.models import Agent
from analytics.models import AgentDayUsage
from core.days import DAY
from tokens.models import Credential, Resource, Revocation, TokenEvent

DAYS = 30
"""Of what is counted by day on an agent's page, today included (UTC)."""
COUNTED_AT_MOST = 10_000
"""Live tokens of one agent. Beyond this the exact number does not matter."""


@dataclass(frozen=True)
class CredentialUsage:
    issued: int = 0
    """Tokens in the last DAYS."""
    live_tokens: int = 0
    """The number of its tokens that have neither expired nor been revoked."""
    is_capped: bool = False
    """Whether counting stopped at the limit, so that there may be more live tokens."""


def usage_of(
    agent: Agent, credentials: Collection[Credential], issued: Mapping[UUID, int] | None = None
) -> dict[UUID, CredentialUsage]:
    """The usage of each of the agent's credentials; `issued` are their tokens, where the caller
    has counted them.
    """
    ids = [credential.pk for credential in credentials]
    if issued is None:
        issued = _issued(agent, ids)
    live, is_capped = _live_tokens(agent, ids, timezone.now())
    return {pk: CredentialUsage(issued.get(pk, 0), live[pk], is_capped) for pk in ids}


def _issued(agent: Agent, ids: list[UUID]) -> dict[UUID, int]:
    days = AgentDayUsage.objects.filter(
        organization_id=agent.organization_id,
        day__gte=timezone.now().date() - (DAYS - 1) * DAY,
        agent_id=agent.pk,
        credential_id__in=ids,
    )
    return dict(days.values_list("credential_id").annotate(Sum("issued")))


def _live_tokens(agent: Agent, ids: list[UUID], now: datetime) -> tuple[Counter[UUID], bool]:
    """Live tokens by credential among the newest ones, and whether the limit was reached.

    A stopped agent has none (liveness.py).
    """
    if not agent.is_active:
        return Counter(), False
    usual: timedelta = settings.ACCESS_TOKEN_LIFETIME
    resources = Resource.objects.filter(organization_id=agent.organization_id)
    longest = resources.aggregate(seconds=Max("token_lifetime"))["seconds"] or 0
    earliest = now - max(usual, timedelta(seconds=longest))
    earliest = max(earliest, agent.tokens_valid_from or earliest)
    revoked = Revocation.objects.filter(
        organization=OuterRef("organization"), token_id=OuterRef("token_id")
    )
    rows = TokenEvent.objects.filter(
        ~Exists(revoked),
        Q(organization__tokens_valid_from=None)
        | Q(created_at__gte=F("organization__tokens_valid_from")),
        organization_id=agent.organization_id,
        agent=agent,
        credential_id__in=ids,
        outcome=TokenEvent.Outcome.ISSUED,
        created_at__gte=earliest,
    ).values_list("credential_id", "resource", "created_at")
    found = list(rows.order_by("-created_at")[:COUNTED_AT_MOST])
    named = {resource for _, resource, _ in found if resource}
    lifetimes = {
        each.identifier: timedelta(seconds=each.lifetime_seconds)
        for each in resources.filter(identifier__in=named)
    }
    live = Counter(
        credential_id
        for credential_id, resource, created_at in found
        if created_at + lifetimes.get(resource, usual) > now
    )
    return live, len(found) == COUNTED_AT_MOST
