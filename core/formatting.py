"""How numbers, amounts and times are formatted, in sentences and on pages alike."""

from datetime import datetime, timedelta
from decimal import Decimal
from math import floor

from django.utils import timezone

NOTHING = "\N{EN DASH}"  # shown in place of a missing value
SPACE = "\N{NO-BREAK SPACE}"
MIN_AMOUNT = Decimal("0.0001")
CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}

Number = int | float | Decimal


def counted(number: int, plural: str) -> str:
    """`1 request`, `2 requests`, `0 requests`; the plural ends in s."""
    return f"{number:,} {plural.removesuffix('s') if number == 1 else plural}"


def shortened(value: object, max_length: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `max_length` characters.

    Django's `truncatechars` first normalizes all of the text, however long.
    """
    text = str(value)
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def number(value: Number | None) -> str:
    """Digits in groups of three: 48,210. A missing value becomes a dash, not a zero."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    if 0 < value < Decimal("0.1"):
        return f"<{SPACE}0.1"
    return f"{value:,.1f}"


def percent(value: Number | None) -> str:
    """A percentage with at most one decimal: 6.1 %.

    Only exactly 0 is shown as 0, and only 100 as 100.
    """
    if value is None or value == "":
        return NOTHING
    if 0 < value < Decimal("0.1"):
        return f"< 0.1{SPACE}%"
    if Decimal("99.9") < value < 100:
        return f"> 99.9{SPACE}%"
    return f"{value:,.1f}".removesuffix(".0") + f"{SPACE}%"


def money(value: Number | None, currency: str = "USD") -> str:
    """An amount with its currency; below one unit with four decimals: $ 0.0021."""
    if value is None or value == "":
        return NOTHING
    amount = Decimal(str(value))
    if 0 < amount < MIN_AMOUNT:
        return f"<{SPACE}{money(MIN_AMOUNT, currency)}"
    digits = 4 if 0 < abs(amount) < 1 else 2
    return f"{CURRENCY_SIGNS.get(currency, currency)}{SPACE}{amount:,.{digits}f}"


def duration(value: Number | timedelta | None) -> str:
    """Milliseconds or a timedelta in its two largest units: 2 m 10 s."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, timedelta):
        value = value.total_seconds() * 1000
    if 0 < value < 1:
        return f"<{SPACE}1{SPACE}ms"
    # Round half up, in integers, exactly as js/words.js does.
    milliseconds = floor(2 * value + 1) // 2
    if milliseconds < 1000:
        return f"{milliseconds}{SPACE}ms"
    tenths = (milliseconds + 50) // 100
    if tenths < 100:
        return f"{tenths / 10:.1f}".removesuffix(".0") + f"{SPACE}s"
    seconds = (milliseconds + 500) // 1000
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        parts = f"{days} d {hours % 24} h"
    elif hours:
        parts = f"{hours} h {minutes % 60:02d} m"
    elif minutes:
        parts = f"{minutes} m {seconds % 60:02d} s"
    else:
        parts = f"{seconds} s"
    return parts.replace(" ", SPACE)


def absolute_time(moment: datetime, now: datetime) -> str:
    """The clock time for today, with the date for other days, and only the date for other years."""
    moment = timezone.localtime(moment)
    today = timezone.localtime(now)
    if moment.date() == today.date():
        return moment.strftime("%H:%M:%S")
    day = day_of(moment, now)
    return day if moment.year != today.year else f"{day}, {moment:%H:%M}"


def day_of(moment: datetime, now: datetime) -> str:
    """The date, with the year if it is another: 3 Mar, 3 Mar 2025."""
    moment = timezone.localtime(moment)
    year = "" if moment.year == timezone.localtime(now).year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}"


def days_of(start: datetime, end: datetime, now: datetime) -> str:
    """The dates from `start` until before `end`: 3 Mar, 3 Mar to 9 Mar, 3 Mar 2025 to 9 Mar 2025.

    Dates are those of the current time zone, as in `day_of`.
    """
    first, last = (day_of(each, now) for each in (start, end - timedelta(microseconds=1)))
    return first if first == last else f"{first} to {last}"


def time_phrase(moment: datetime, now: datetime) -> str:
    """The time within a sentence: `at 12:30:05` for today, else `on 3 Mar at 12:30`, and only the
    date for other years.
    """
    day, comma, clock = absolute_time(moment, now).partition(", ")
    if comma:
        return f"on {day} at {clock}"
    return f"at {day}" if ":" in day else f"on {day}"
