"""Token requests, as tests make and count them."""

from datetime import UTC, datetime
from typing import Any

from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import TokenEvent

NOW = datetime(2026, 3, 1, 16, 42, tzinfo=UTC)


def make_event(organization: Organization, **fields: Any) -> None:
    with organization_scope(organization):
        TokenEvent.objects.create(organization=organization, **{"outcome": "issued", **fields})


def shown(answer: Any) -> int:
    """The number of requests that the page counts, in all of its parts."""
    total, lines = answer.context["total"], answer.context.get("lines") or []
    bars = sum(point["count"] for point in answer.context["chart"]["points"])
    assert total == bars == sum(line["fold"].times for line in lines)
    return int(total)
