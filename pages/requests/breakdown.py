"""The breakdown of requests in the format of the page: chart, figures and ranked lists."""

from collections.abc import Sequence
from typing import Any

from analytics.requests.breakdown import Breakdown, Bucket
from analytics.requests.filters import (
    ADDRESSES,
    AGENTS,
    ANSWERED,
    OUTCOMES,
    REQUESTS,
    SECRETS,
    Outcome,
)
from analytics.requests.rankings import RankedValue
from analytics.requests.rows import MAX_ROWS
from core.formatting import number, percent
from pages.executions.page_query import stamp
from pages.executions.timeline import HOURS_OF, axis, label
from pages.requests.page_query import RequestQuery
from pages.requests.window_menu import WindowMenu

SHOWN = 6
"""Values of a list; the rest share a line."""
NOTEWORTHY = 0.2
"""A rise of refusals above this share is in the colour of a warning."""
COLOURS: dict[str, str] = {
    Outcome.ISSUED: "heat-4",
    Outcome.REFUSED: "bad",
    Outcome.INTROSPECTED: "series-7",
    Outcome.REVOKED: "ink-3",
}
PARAMETERS = {AGENTS: "agent", SECRETS: "credential", ADDRESSES: "address", OUTCOMES: "reason"}
TITLES = {
    AGENTS: "Agents",
    SECRETS: "Secrets",
    ADDRESSES: "Addresses",
    OUTCOMES: "Outcomes and reasons",
}
NONE = {
    AGENTS: "no agent",
    SECRETS: "no secret recognized",
    ADDRESSES: "unknown address",
    OUTCOMES: "no reason",
}


def chart(query: RequestQuery, found: Breakdown, before: Sequence[int] | None) -> dict[str, Any]:
    """The bars for executions/timeline_chart.html; `before` has those of the previous window."""
    step, outcomes = found.window.step, found.filters.outcomes
    words = "Issued and refused" if outcomes == ANSWERED else outcomes[0].capitalize()
    return {
        "id": "requests-by-time",
        "title": f"{words} by {step}",
        "summary": chart_summary(query, found),
        "unit": "requests",
        "first_column": f"{step.capitalize()}, {query.zone}",
        "is_low": True,
        "bucket_hours": HOURS_OF[step],
        "zoom": query.url(days=None),
        "series": [
            {"label": name, "colour": COLOURS[name], "total": found.count(name)}
            for name in outcomes
        ],
        "before": {"label": WindowMenu(query).whole_before_words} if before else None,
        "points": points(query, found, before) if found.count() else [],
    }


def points(
    query: RequestQuery, found: Breakdown, before: Sequence[int] | None
) -> list[dict[str, Any]]:
    first_day = found.buckets[0].start.astimezone(query.zone).date()
    rows = []
    for place, bucket in enumerate(found.buckets):
        local = bucket.start.astimezone(query.zone)
        start, end = max(bucket.start, found.window.start), min(bucket.end, found.window.end)
        rows.append(
            {
                "start": stamp(start.timestamp()),
                "end": stamp(end.timestamp()),
                "label": label(query, bucket, found.window.step),  # type: ignore[arg-type]
                "axis": axis(local, found.window.step),
                "hour": local.hour,
                "day": (local.date() - first_day).days,
                "count": bucket.total,
                "before": before[place] if before else None,
                "counts": [bucket.by_outcome.get(name, 0) for name in found.filters.outcomes],
                "url": query.url(date=local.date().isoformat())
                if found.window.step == "day"
                else query.span_url(start, end),
                "partial": bucket.end > query.now,
            }
        )
    return rows


def chart_summary(query: RequestQuery, found: Breakdown) -> str:
    """A sentence with the highest bucket, and since when the bars count if not all."""
    if not found.count():
        return ""
    highest: Bucket = max(found.buckets, key=lambda bucket: bucket.total)
    where = label(query, highest, found.window.step)  # type: ignore[arg-type]
    text = f"Highest {highest.total:,} on {where}."
    if found.buckets_since is not None:
        text += f" {newest(query, found)}"
    return text


def newest(query: RequestQuery, found: Breakdown) -> str:
    """The sentence about a window with more requests than are read; empty if there are not."""
    if found.since is None:
        return ""
    return f"Of the newest {MAX_ROWS:,} requests, since {query.written(found.since)}."


def figures(query: RequestQuery, found: Breakdown) -> list[dict[str, str]]:
    """One line of figures, each beside the same of the window before."""
    total, refused = found.count(), found.count(Outcome.REFUSED)
    before = WindowMenu(query).before_label
    rows = [
        {
            "value": number(total),
            "label": "request" if total == 1 else "requests",
            "note": beside(found.before(), before),
        }
    ]
    if found.filters.outcome == REQUESTS:
        share = f"{percent(100 * refused / total)}" if refused else ""
        note = beside(found.before(Outcome.REFUSED), before)
        rows.append(
            {
                "value": number(refused),
                "label": "refused",
                "note": ", ".join(filter(None, (share, note))),
            }
        )
    for name, one, many in (
        (SECRETS, "secret used", "secrets used"),
        (ADDRESSES, "address", "addresses"),
    ):
        ranking = found.rankings[name]
        used = [value for value in ranking.matching if value.count and value.key]
        new = sum(value.is_new for value in used)
        note = f"{number(new)} new" if new and found.before() else ""
        more = "more than " if ranking.is_cut else ""
        rows.append(
            {
                "value": f"{more}{number(len(used))}",
                "label": one if len(used) == 1 else many,
                "note": note,
            }
        )
    return rows


def beside(count: int | None, before: str) -> str:
    return "" if count is None else f"{before}: {number(count)}"


def rankings(query: RequestQuery, found: Breakdown) -> list[dict[str, Any]]:
    """The four lists."""
    return [ranking(query, found, name) for name in TITLES]


def ranking(query: RequestQuery, found: Breakdown, name: str) -> dict[str, Any]:
    shown: list[RankedValue] = []
    others: list[RankedValue] = []
    for place, value in enumerate(found.rankings[name].values):
        has_any = place < SHOWN and (value.count or value.before)
        # What the filters name is always among them.
        is_named = place >= SHOWN and (value.is_chosen or value.is_excluded)
        (shown if has_any or is_named else others).append(value)
    most = max((value.count for value in shown), default=0) or 1
    more = "more than " if found.rankings[name].is_cut else ""
    return {
        "name": name,
        "title": TITLES[name],
        "rows": [row(query, found, name, value, most) for value in shown],
        "others": f"{more}{number(len(others))} more" if others else "",
        "others_count": sum(value.count for value in others),
    }


def row(
    query: RequestQuery, found: Breakdown, name: str, value: RankedValue, most: int
) -> dict[str, Any]:
    choose, exclude = links(query, name, value)
    return {
        "name": value.name or ("" if value.key and name == SECRETS else NONE[name]),
        "prefix": "refused: " if name == OUTCOMES and value.key not in Outcome.values else "",
        "hint": value.hint or ("an earlier secret" if value.key and name == SECRETS else ""),
        "has_hint": bool(value.hint),
        "label": value.label
        or ("an earlier secret" if value.key and name == SECRETS else NONE[name]),
        "count": value.count,
        "width": f"{max(100 * value.count / most, 1 if value.count else 0):.1f}",
        "change": change_text(value, found),
        "tone": tone(name, value, found),
        "url": choose,
        "exclude_url": exclude,
        "is_chosen": value.is_chosen,
        "is_excluded": value.is_excluded,
    }


def links(query: RequestQuery, name: str, value: RankedValue) -> tuple[str, str]:
    """The URLs that demand the value, or no longer do, and that exclude it, or no longer do."""
    parameter = PARAMETERS[name]
    if not value.key:
        return "", ""
    if value.is_excluded:
        back = query.excluding(parameter, value.key, is_on=False)
        return back, back
    if name != OUTCOMES or value.key not in Outcome.values:
        is_demanded = value.is_chosen and parameter in query.values
        changes = {parameter: None if is_demanded else value.key}
        if name == OUTCOMES:
            changes["outcome"] = None
        return query.url(**changes), query.excluding(parameter, value.key)
    other = {Outcome.ISSUED: Outcome.REFUSED, Outcome.REFUSED: Outcome.ISSUED}
    wanted = None if value.is_chosen else value.key
    rest = other.get(Outcome(value.key))
    return (
        query.url(outcome=wanted, reason=None),
        query.url(outcome=str(rest), reason=None) if rest else "",
    )


def change_text(value: RankedValue, found: Breakdown) -> str:
    if value.change is None:
        return ""
    if value.is_new:
        return "new"
    if not value.change:
        return "same"
    sign = "+" if value.change > 0 else "\N{MINUS SIGN}"
    return f"{sign}{number(abs(value.change))}"


def tone(name: str, value: RankedValue, found: Breakdown) -> str:
    """`bad` for what is new where that is worth a look, and for refusals that rise."""
    if value.change is None or not found.before():
        return ""  # without anything before, everything would be new
    if name in (SECRETS, ADDRESSES):
        return "bad" if value.is_new and value.key else ""
    if name == OUTCOMES and value.outcome == Outcome.REFUSED:
        return "bad" if value.change > NOTEWORTHY * (value.before or 0) else ""
    return ""


def empty_state(query: RequestQuery, found: Breakdown, *, has_any: bool) -> dict[str, Any]:
    """What to say when nothing matches, and the links that may help."""
    wider = [
        {"label": each["label"], "url": each["url"]}
        for each in WindowMenu(query).ranges
        if each["label"] in ("Last 30 days", "Last 90 days") and not each["current"]
    ]
    if not has_any:
        return {
            "title": "No agent has asked for a token yet",
            "text": "Each request appears here the moment it is answered: issued, or refused with "
            "the reason.",
            "links": [],
        }
    if query.lists.is_narrowed:
        return {
            "title": "No requests match",
            "text": "No request of this time matches all of the filters above.",
            "links": [{"label": "Clear filters", "url": query.lists.clear_url}, *wider],
        }
    return {
        "title": "No requests in this time",
        "text": "No agent asked for a token.",
        "links": wider,
    }
