"""The pages of executions as requests to /api/dashboard, which has the same parameters."""

from typing import Any

from executions.queries import NOT_STATE, STATE
from organizations.actors import Scope
from pages.api_calls import ApiCall, sliced
from pages.executions.page_query import WINDOW, PageQuery, stamp
from pages.lists import ListPage

MOST = 1000
"""Rows of a response."""


def window_and_filters(query: PageQuery) -> list[tuple[str, Any]]:
    """The query with the window in instants: the API reads times without a zone as UTC."""
    found: list[tuple[str, Any]] = []
    if query.hours is not None:
        found.append(("hours", query.hours))
    else:
        start, end = query.filters.window
        edges = (("from", start), ("to", end))
        found += [(name, stamp(edge)) for name, edge in edges if edge is not None]
    named = ((name, texts) for name, texts in query.parameters.items() if name not in WINDOW)
    return found + [(name, text) for name, texts in named for text in texts]


def _call(name: str, query: list[tuple[str, Any]], **more: Any) -> ApiCall:
    return ApiCall(f"/api/dashboard/{name}", query, Scope.EXECUTIONS_READ, **more)


def runs_call(query: PageQuery, page: ListPage, *, is_newest_first: bool) -> ApiCall:
    asked = window_and_filters(query)
    if is_newest_first:
        return _call("running-agents", asked + sliced(page))
    order = f"The order and its pages: the API returns the latest start first, {MOST:,} at most."
    return _call("running-agents", [*asked, ("limit", MOST)], left_out=(order,))


def error_calls(query: PageQuery, page: ListPage, *, group: str) -> list[ApiCall]:
    """The groups, or the errors of the chosen one, which states do not narrow."""
    asked = window_and_filters(query)
    if not group:
        return [_call("error-groups", asked + sliced(page))]
    asked = [(name, value) for name, value in asked if name not in (STATE, NOT_STATE)]
    return [_call("errors", [*asked, ("fingerprint", group), *sliced(page)])]


def timeline_call(query: PageQuery) -> ApiCall:
    bars = f"The bars: the API returns the executions in them, {MOST:,} at most."
    return _call("timeline", [*window_and_filters(query), ("limit", MOST)], left_out=(bars,))


def statistics_call(query: PageQuery) -> ApiCall:
    return _call("agent-stats", window_and_filters(query))
