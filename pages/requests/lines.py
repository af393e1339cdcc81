"""The lines of the list of requests: those that are alike within an hour share one, which opens in
place.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from analytics.requests.filters import Secret
from analytics.requests.folds import MAX_FOLDED, Fold, Folds
from core.formatting import day_of, duration, number
from pages.executions.page_query import stamp
from pages.lists import PAGE_SIZE
from pages.requests.page_query import RequestQuery

OPENED = 100
"""Requests that an open line shows; a link leads to all of them."""


def lines_of(query: RequestQuery) -> dict[str, Any]:
    """The context of requests/lines.html."""
    window = query.window
    if query.until is not None:
        window = replace(window, end=max(min(window.end, query.until), window.start))
    folds = Folds.of(query.request.organization, window, query.filters)
    count = folds.count()
    place = _place(query, count)
    first = (place - 1) * PAGE_SIZE
    found = folds.page(first, PAGE_SIZE)
    until = query.request.GET.get("until") or f"{query.now.timestamp():.6f}"
    has_next = first + len(found) < count
    return {
        "lines": [line(query, folds, fold, place, until) for fold in found],
        "line_count": count,
        "most_folded": MAX_FOLDED,
        "of_one_agent": query.filters.agent_id is not None,
        "lines_since": folds.since and query.written(folds.since),
        "has_folds": any(fold.rows > 1 for fold in found),
        "first": number(first + 1),
        "last": number(first + len(found)),
        "line_total": number(count),
        "previous_url": _url(query, until, page=place - 1) if place > 1 else "",
        "next_url": _url(query, until, page=place + 1) if has_next else "",
    }


def _place(query: RequestQuery, count: int) -> int:
    """The number of the page in the URL, from 1; of a number beyond the end, the last page."""
    text = query.request.GET.get("page", "")
    last = max(-(-count // PAGE_SIZE), 1)
    return min(max(int(text), 1), last) if text.isdecimal() and len(text) < 6 else 1


def _url(query: RequestQuery, until: str, **changes: object) -> str:
    """A URL of the same lines. Pages after the first one name the time of the first, and so does
    an open line, so that requests that come meanwhile shift nothing.
    """
    place = changes.get("page")
    return query.url(**{**changes, "page": None if place == 1 else place, "until": until})


def line(query: RequestQuery, folds: Folds, fold: Fold, place: int, until: str) -> dict[str, Any]:
    is_open = fold.rows > 1 and query.request.GET.get("open") == fold.pk
    anchor = f"line-{fold.pk.replace('.', '-')}"
    url = _url(query, until, page=place, open=None if is_open else fold.pk)
    return {
        "fold": fold,
        "event": fold.newest,
        "anchor": anchor,
        "is_folded": fold.rows > 1,
        "is_open": is_open,
        "url": f"{url}#{anchor}",
        "span": span(query, fold),
        "addresses": places(fold.addresses),
        "about": about(fold),
        "parts": [
            (event, f"{event.created_at.astimezone(query.zone):%H:%M:%S}")
            for event in (folds.events(fold, OPENED) if is_open else [])
        ],
        "hidden": fold.rows - OPENED,
        "each_url": each_url(query, fold),
    }


def about(fold: Fold) -> str:
    """The rhythm of the requests, then why they were refused or their scopes and resource."""
    event = fold.newest
    parts = [f"about every {duration(fold.every)}"] if fold.every else []
    parts.append(event.get_reason_display() if event.reason else event.scope or "no scope")
    if event.resource:
        parts.append(f"for {event.resource}")
    return ", ".join(parts)


def span(query: RequestQuery, fold: Fold) -> str:
    """The times of the first and the last request, with the day unless it is clear."""
    first, last = (at.astimezone(query.zone) for at in (fold.first_at, fold.last_at))
    if fold.rows == 1:
        return f"{_day(query, last)}{last:%H:%M:%S}"
    same = first.strftime("%H:%M") == last.strftime("%H:%M")
    form = "%H:%M:%S" if same else "%H:%M"
    clock = f"{first.strftime(form)} \N{EN DASH} {last.strftime(form)}"
    if first == last:
        clock = first.strftime(form)
    return f"{_day(query, first)}{clock}"


def _day(query: RequestQuery, local: datetime) -> str:
    today = query.now.astimezone(query.zone).date()
    if local.date() == today or "date" in query.values:
        return ""
    return f"{day_of(local, query.now)}, "


def places(addresses: tuple[str, ...]) -> str:
    if len(addresses) <= 2:
        return " and ".join(addresses)
    return f"{addresses[0]} and {number(len(addresses) - 1)} more"


def each_url(query: RequestQuery, fold: Fold) -> str:
    """The URL that lists every request of the line."""
    event = fold.newest
    changes: dict[str, object] = {"each": 1}
    if event.agent_id:
        changes["agent"] = event.agent_id
    if event.credential_id:
        changes["credential"] = Secret(event.credential_id, event.secret_hint)
    changes |= {"reason": event.reason} if event.reason else {"outcome": event.outcome}
    edges = {
        "from_": stamp(int(fold.first_at.timestamp())),
        "to": stamp(int(fold.last_at.timestamp()) + 1),
    }
    return query.url(**changes, **edges)
