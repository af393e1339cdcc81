"""Formatting of numbers in the sentences of findings."""

from datetime import date

from core.formatting import percent


def day_text(day: date) -> str:
    return f"{day.day} {day:%b}"


def percent_text(share: float) -> str:
    return percent(round(100 * share) or 100 * share)


def times_text(factor: float) -> str:
    return f"{factor:,.0f}\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}"


def span_text(seconds: float) -> str:
    """A duration in whole seconds, or in minutes from two minutes on."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    whole = max(1, round(seconds))
    return "second" if whole == 1 else f"{whole} seconds"
