"""The page of requests as a request to /api/v1/analytics/requests."""

from typing import Any

from analytics.requests.filters import REQUESTS, UNKNOWN
from analytics.requests.parameters import ALL
from organizations.actors import Scope
from pages.api_calls import ApiCall
from pages.executions.page_query import stamp
from pages.requests.page_query import RequestQuery

PATH = "/api/v1/analytics/requests"
LINES = "The requests one by one: the API counts them, by time and by what they have in common."


def call_of(query: RequestQuery) -> ApiCall | None:
    """None for an agent that does not exist, which the API refuses."""
    filters, window = query.filters, query.window
    if filters.agent_id == UNKNOWN:
        return None
    asked: list[tuple[str, Any]] = [("days", window.days)]
    if window.days is None:
        asked = [("from", stamp(window.start.timestamp())), ("to", stamp(window.end.timestamp()))]
    outcome = ALL if filters.outcome == REQUESTS else filters.outcome
    given = {
        "tz": query.zone.key,
        "outcome": outcome,
        "reason": filters.reason,
        "agentId": filters.agent_id,
        "secret": filters.secret,
        "address": filters.address,
        "resource": filters.resource,
        "dow": filters.dow,
        "hour": filters.hour,
        "notReason": filters.not_reasons,
        "notAgentId": filters.not_agents,
        "notSecret": filters.not_secrets,
        "notAddress": filters.not_addresses,
    }
    for name, value in given.items():
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        if value not in (None, ""):
            asked.append((name, value))
    return ApiCall(PATH, asked, Scope.AGENTS_READ, left_out=(LINES,))
