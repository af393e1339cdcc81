"""Data from queries.py in the format of the chart components (static/js/chart.js)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from math import ceil
from typing import Any

from analytics.findings.finding import Finding
from analytics.queries import DayCount, HourCount
from core.days import WEEKDAYS
from core.formatting import counted

LEVELS = 5


def short_day(day: date) -> str:
    return f"{day.day} {day:%b}"


def trend_chart(
    days: Sequence[DayCount],
    *,
    name: str,
    title: str,
    unit: str,
    today: date,
    url: Callable[[date], str],
    notes: Mapping[date, str],
    since: date,
    before: Mapping[date, int] | None = None,
    before_label: str = "",
) -> dict[str, Any]:
    """A bar for each day; days in `notes` carry a finding, which is shown with the day. `before`
    has for each day the count of the one that it is compared with.

    An empty period has no bars but a notice. Days before `since` were not counted: they are
    unknown, not zero.
    """
    since = min([since, *(day.date for day in days if day.count)])
    is_empty = not any(day.count for day in days)
    return {
        "id": name,
        "title": title,
        "kind": "trend",
        "unit": unit,
        "before": {"label": before_label} if before else None,
        "summary": trend_summary([day for day in days if day.date >= since], today),
        "points": [
            {
                "date": day.date.isoformat(),
                "label": short_day(day.date),
                "count": day.count if day.date >= since else None,
                "url": url(day.date) if day.date >= since else "",
                "before": before[day.date] if before else None,
                "flagged": day.date in notes,
                "partial": day.date == today,
                "note": notes.get(day.date, ""),
            }
            for day in days
            if not is_empty
        ],
    }


def trend_summary(days: Sequence[DayCount], today: date) -> str:
    """A sentence with the highest and the lowest day. Today is not over, so it is never the
    lowest.
    """
    if not any(day.count for day in days):
        return ""
    highest = max(days, key=lambda day: day.count)
    text = f"Highest {highest.count:,} on {short_day(highest.date)}"
    over = [day for day in days if day.date != today and day.date != highest.date]
    if not over:
        return text
    lowest = min(over, key=lambda day: day.count)
    return f"{text}, lowest {lowest.count:,} on {short_day(lowest.date)}"


FLAGS = ("token_spike", "silent_day")


def day_notes(findings: Sequence[Finding]) -> dict[date, str]:
    """Sentences about the days that have findings; the most severe finding wins."""
    return {
        day: finding.message
        for finding in reversed(findings)
        if finding.code in FLAGS
        for day in finding.dates
    }


def shown_finding(finding: Finding) -> dict[str, str]:
    """A finding in the format of components/finding.html. Findings count UTC days."""
    link = finding.link
    return {
        "severity": severity_shown(finding),
        "subject": finding.subject,
        "text": finding.text,
        "detail": finding.detail,
        "url": f"{link}&tz=UTC" if "?" in link else link,
    }


def severity_shown(finding: Finding) -> str:
    """What is snoozed needs nobody's attention, so it has no colour."""
    return "snoozed" if finding.snooze else finding.severity


def heatmap(
    cells: Sequence[HourCount], *, title: str, unit: str, url: Callable[[int, int], str]
) -> dict[str, Any]:
    """Weekdays by hours, from Sunday, in five steps up to the busiest hour."""
    counts = {(cell.dow, cell.hour): cell.count for cell in cells}
    most = max(counts.values(), default=0)
    rows = []
    for dow, weekday in enumerate(WEEKDAYS):
        row = []
        for hour in range(24):
            count = counts.get((dow, hour), 0)
            row.append(
                {
                    "dow": dow,
                    "hour": hour,
                    "count": count,
                    "level": ceil(LEVELS * count / most) if count else 0,
                    "url": url(dow, hour) if count else "",
                    "label": f"{weekday} {hour:02d}:00, {counted(count, unit)}",
                }
            )
        rows.append({"label": weekday[:3], "name": weekday, "cells": row})
    return {
        "id": "activity",
        "title": title,
        "summary": busiest(cells, unit),
        "hours": [f"{hour:02d}" for hour in range(24)],
        "rows": rows,
    }


def busiest(cells: Sequence[HourCount], unit: str) -> str:
    if not cells:
        return "Nothing in this period"
    top = max(cells, key=lambda cell: cell.count)
    return f"Busiest {WEEKDAYS[top.dow][:3]} {top.hour:02d}:00, {counted(top.count, unit)}"


def change(now: float, before: float, *, rise: str = "", fall: str = "") -> dict[str, str] | None:
    """The change in per cent compared with the period before; None if there is nothing to
    compare.
    """
    if not before:
        return None
    percent = 100 * (now - before) / before
    text = f"{abs(percent):,.1f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"
    if percent >= 1000:
        text = f"{now / before:,.0f}\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}"
    if now == before:
        return {"text": "no change", "direction": "flat", "tone": ""}
    direction = "up" if now > before else "down"
    return {"text": text, "direction": direction, "tone": rise if now > before else fall}
