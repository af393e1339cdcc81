"""The runs on the overview: by day, and those that wait for an answer."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from executions import queries
from executions.filters import Filters
from executions.models import Execution
from executions.queries import RecentActivity, RunDay
from organizations.actors import Scope
from pages.executions.listing import row_of
from pages.executions.page_query import ALL_TIME, DEFAULT_HOURS, to_datetime
from pages.overview.figures import View

SHOWN_WAITING = 5


@dataclass(frozen=True)
class Runs:
    """What the person may see."""

    days: dict[date, RunDay]
    """Of the period and the days before it; those without runs are omitted."""
    recent: RecentActivity
    waiting: list[dict[str, Any]]
    """The first of those that wait for an answer, the longest first."""

    @property
    def further(self) -> int:
        """How many more wait."""
        return max(self.recent.awaiting - len(self.waiting), 0)


def runs_of(view: View) -> Runs | None:
    """None if the person may see no runs, or if there are none."""
    request, now = view.request, view.period.now
    if not request.actor.may(Scope.EXECUTIONS_READ):
        return None
    since = now - timedelta(hours=DEFAULT_HOURS)
    recent = queries.recent_activity(request.organization, request.actor, since.timestamp())
    if recent.newest is None:
        return None
    return Runs(days_of(view), recent, waiting(view, now) if recent.awaiting else [])


def days_of(view: View) -> dict[date, RunDay]:
    request, period = view.request, view.with_before
    found = queries.count_over_time(
        request.organization,
        request.actor,
        Filters(start=period.start.timestamp(), end=period.end.timestamp()),
        zone=period.tz,
        step="day",
    )
    return {
        bucket.start.astimezone(period.tz).date(): RunDay(bucket.total, bucket.failed, bucket.cost)
        for bucket in found.rows
        if bucket.total
    }


def waiting(view: View, now: datetime) -> list[dict[str, Any]]:
    request = view.request
    rows = queries.waiting(request.organization, request.actor)[:SHOWN_WAITING]
    return [row_of(each, now.timestamp()) | {"since": waiting_since(each)} for each in rows]


def waiting_since(execution: Execution) -> datetime:
    """Its last sign of life, from which waiting is counted."""
    return to_datetime(execution.end_time or execution.start_time)


def waiting_url(view: View) -> str:
    return view.rows_url("executions:list", hours=ALL_TIME, status=Execution.Status.AWAITING)
