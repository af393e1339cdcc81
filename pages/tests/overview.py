"""What tests of the overview share."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from executions.tests.factories import (
    RUNNING,
    make_execution,
    tagged,
)
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import TokenEvent


def make_events(organization: Organization, count: int, **fields: Any) -> None:
    fields = {"outcome": "issued", "created_at": timezone.now(), **fields}
    with organization_scope(organization):
        TokenEvent.objects.bulk_create(
            TokenEvent(organization=organization, **fields) for _ in range(count)
        )


def figure(response: Any, label: str) -> dict[str, Any]:
    return next(figure for figure in response.context["figures"] if figure["label"] == label)


def facts(response: Any) -> list[str]:
    """The groups of facts, each as it is read."""
    return [", ".join(fact.text for fact in group) for group in response.context["facts"]]


def url_of(response: Any, text: str) -> str:
    every = (fact for group in response.context["facts"] for fact in group)
    return next(str(fact.url) for fact in every if text in fact.text)


def make_waiting(organization: Organization, since: float, **fields: Any) -> None:
    """An execution that has waited for so many seconds."""
    start = timezone.now().timestamp() - since
    events = [tagged("lock", start + 0.75, lid="one")]
    make_execution(organization, RUNNING, start=start, events=events, **fields)


def long_ago(organization: Organization) -> None:
    """Let there be days to compare with."""
    created = timezone.now() - timedelta(days=400)
    Organization.objects.filter(pk=organization.pk).update(created_at=created)
