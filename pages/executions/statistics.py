"""Shares of executions by status, user and agent."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from executions import queries
from executions.filters import NOBODY
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.api_calls import statistics_call
from pages.executions.earlier import Earlier
from pages.executions.page_context import milliseconds, page_context
from pages.executions.page_query import PageQuery
from pages.executions.timeline import COLOURS

SHOWN = 7
"""As many slices as there are colours that everyone can tell apart; the rest is one more."""
LISTED = 100
OVERLAP = 0.05
"""Each slice begins a little below the one before it: no gaps, and no slice begins exactly on a
quarter of the ring, where Chromium draws a notch."""
OTHER = "series-other"
RUNTIMES = (
    ("Median", "p50_runtime"),
    ("95th percentile", "p95_runtime"),
    ("99th percentile", "p99_runtime"),
)


@require_safe
@within_organization("executions:read")
def statistics(request: OrganizationRequest) -> HttpResponse:
    """Show the window's executions by status, user and agent, and their runtimes."""
    query = PageQuery.from_request(request)
    found = query.statistics
    people = {
        NOBODY if key is None else str(key): "nobody" if key is None else found.user_map[key]
        for key in found.by_user
    }
    by_user = {NOBODY if key is None else str(key): n for key, n in found.by_user.items()}
    pies = [
        pie(query, "status", "By status", found.by_status, colours=COLOURS),
        pie(query, "name", "By agent", found.by_agent, more=found.more_agents),
        pie(query, "user", "By user", by_user, words=people, more=found.more_users),
    ]
    earlier = Earlier.of(query)
    is_known = earlier is not None and earlier.statistics.total > 0
    before = earlier.statistics if earlier and is_known and earlier.is_shown else None
    if before:
        of_users = {NOBODY if key is None else str(key): n for key, n in before.by_user.items()}
        add_before(pies[0], before.by_status)
        add_before(pies[1], before.by_agent, is_complete=not before.more_agents.values)
        add_before(pies[2], of_users, is_complete=not before.more_users.values)
    runtimes = [
        {
            "label": label,
            "value": milliseconds(getattr(found, name)),
            "before": milliseconds(getattr(before, name)) if before else None,
        }
        for label, name in RUNTIMES
    ]
    context = page_context(
        query,
        pies=pies,
        runtimes=runtimes,
        before_label=earlier.label if earlier and before else "",
        comparisons=earlier.comparisons if earlier and is_known else [],
        api_calls=[statistics_call(query)],
    )
    return render(request, "executions/statistics.html", context)


def add_before(
    shown: dict[str, Any], counts: Mapping[str, int], *, is_complete: bool = True
) -> None:
    """Add to the rows of a pie how many there were before; None where that is not known, because
    the smallest are counted together.
    """
    shown["is_compared"] = True
    for row in shown["rows"]:
        row["before"] = counts.get(row["key"], 0 if is_complete else None)


def pie(
    query: PageQuery,
    parameter: str,
    title: str,
    counts: Mapping[str, int],
    *,
    words: Mapping[str, str] | None = None,
    colours: Mapping[Any, str] | None = None,
    more: queries.Rest = queries.NO_MORE,
) -> dict[str, Any]:
    """A pie, largest slice first; `parameter` is the filter that selects the rows of a slice.

    `more` are smaller ones than all `counts`.
    """
    total = sum(counts.values()) + more.executions
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = {key: colours[key] for key, _ in ranked} if colours else series_colours(ranked)
    rows = [
        {
            "key": key,
            "label": (words or {}).get(key, key),
            "count": count,
            "share": 100 * count / total,
            "colour": kept.get(key, OTHER),
            "slice": min(place, SHOWN + 1),
            "url": query.url("executions:list", **{parameter: key}),
        }
        for place, (key, count) in enumerate(ranked, 1)
    ]
    return {
        "id": f"by-{parameter}",
        "title": title,
        "column": title.removeprefix("By ").capitalize(),
        "total": total,
        "slices": slices(rows, total, more),
        "rows": rows[:LISTED],
        "more": len(rows[LISTED:]) + more.values,
    }


def slices(rows: list[dict[str, Any]], total: int, more: queries.Rest) -> list[dict[str, Any]]:
    """The largest rows as slices and the rest as one, measured in hundredths of the ring."""
    found = [{**row} for row in rows[:SHOWN]]
    if rest := rows[SHOWN:]:
        count = sum(row["count"] for row in rest) + more.executions
        share = 100 * count / total
        label = f"{len(rest) + more.values:,} more"
        found.append({**rest[0], "label": label, "count": count, "share": share, "colour": OTHER})
    start = 0.0
    for each in found:
        each |= {"length": f"{each['share'] + OVERLAP:.3f}", "start": f"{OVERLAP - start:.3f}"}
        start += each["share"]
    return found


def series_colours(ranked: list[tuple[str, int]]) -> dict[str, str]:
    """A colour for each of the largest: derived from its name, unless a larger one has it."""
    free = [f"series-{n}" for n in range(1, SHOWN + 1)]
    found = {}
    for name, _ in ranked[:SHOWN]:
        place = sum(name.encode()) % SHOWN
        wish = f"series-{place + 1}"
        found[name] = free.pop(free.index(wish) if wish in free else 0)
    return found
