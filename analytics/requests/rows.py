"""The token events of a window, and how many of them a breakdown reads at most."""

from datetime import datetime

from django.db.models import Q
from django.db.models.functions import ExtractHour, ExtractWeekDay

from analytics.requests.filters import AGENTS, RequestFilters
from analytics.requests.window import Window
from organizations.models import Organization, OrganizationScopedQuerySet
from tokens.models import TokenEvent

MAX_ROWS = 50_000
"""Token events that one breakdown reads of a window; of more, the newest."""


def rows_of(
    organization: Organization,
    filters: RequestFilters,
    *windows: Window,
    ignoring: str = "",
    since: datetime | None = None,
) -> OrganizationScopedQuerySet:
    """The matching events of the windows; with `since`, only later ones."""
    within = Q()
    for window in windows:
        within |= Q(created_at__gte=window.start, created_at__lt=window.end)
    rows = TokenEvent.objects.for_organization(organization).filter(within).order_by()
    if since is not None:
        rows = rows.filter(created_at__gt=since)
    zone = windows[0].zone
    if filters.dow is not None:
        rows = rows.annotate(dow=ExtractWeekDay("created_at", tzinfo=zone))
        rows = rows.filter(dow=filters.dow + 1)
    if filters.hour is not None:
        rows = rows.annotate(hour=ExtractHour("created_at", tzinfo=zone))
        rows = rows.filter(hour=filters.hour)
    return rows.filter(filters.conditions(ignoring))


def newest_since(
    organization: Organization,
    filters: RequestFilters,
    window: Window,
    *,
    ignoring: str = "",
    most: int = MAX_ROWS,
) -> datetime | None:
    """The time after which the window has the newest `most` events; None if it has no more.

    These are the events that an index can select, of one agent or of all: those of the other
    filters are found among them, so that a filter that matches little does not read everything.
    """
    events = TokenEvent.objects.for_organization(organization)
    events = events.filter(created_at__gte=window.start, created_at__lt=window.end)
    if filters.agent_id and ignoring != AGENTS:
        events = events.filter(agent_id=filters.agent_id)
    times = events.order_by("-created_at").values_list("created_at", flat=True)
    return times[most : most + 1].first()
