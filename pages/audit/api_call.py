"""The audit log as a request to /api/v1/audit."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.days import day_end, day_start
from organizations.actors import Scope
from organizations.audit.actions import AuditAction
from pages.api_calls import ApiCall, paged
from pages.lists import ListFilters, ListPage

PATH = "/api/v1/audit"
ACTOR = "The filter by actor, which the API does not have."
FAMILY = "The filter by a family of actions: the API takes the name of one, such as agent.created."
LAST = timedelta(microseconds=1)
"""The API includes the end."""


def call_of(filters: ListFilters, page: ListPage, zone: ZoneInfo) -> ApiCall:
    asked, left_out = [], []
    if action := filters.get("action"):
        if action in set(AuditAction):
            asked.append(("action", action))
        else:
            left_out.append(FAMILY)
    for name, parameter in (("outcome", "outcome"), ("agent", "agentId")):
        if value := filters.get(name):
            asked.append((parameter, value))
    if filters.get("actor"):
        left_out.append(ACTOR)
    if first := filters.get("from"):
        asked.append(("fromDate", written(day_start(date.fromisoformat(first), zone))))
    if last := filters.get("to"):
        asked.append(("toDate", written(day_end(date.fromisoformat(last), zone) - LAST)))
    return ApiCall(PATH, [*asked, *paged(page)], Scope.AUDIT_READ, left_out=tuple(left_out))


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
