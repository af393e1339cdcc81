"""Hours, days and months in a time zone, and the limits of the calendar."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST_DAY = date(1970, 1, 1)
"""The day 0 of counts that number their days."""
MAX_TIMESTAMP = 253_402_300_799
"""The last Unix second of the year 9999, which is the latest that a datetime can hold."""
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
"""In PostgreSQL's order (`extract(dow …)`)."""


def unix_seconds(value: float) -> float:
    """The number as Unix seconds. Below a microsecond it is 0: PostgreSQL refuses to divide the
    smallest numbers, so a row with one could not be counted.
    """
    return 0.0 if abs(value) < 1e-6 else float(value)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which the day begins in the zone.

    Where the clocks skip midnight it is the end of the gap. For the first day of the calendar it
    may be the beginning of the calendar.
    """
    try:
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def day_end(day: date, zone: tzinfo) -> datetime:
    """The instant at which the next day begins; the end of the calendar for the last day."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else day_start(day + DAY, zone)


def floor(moment: datetime, step: str) -> datetime:
    """The beginning of the `hour`, `day` or `month` that contains the moment, in its own zone."""
    if step == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    moment = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return moment if step == "day" else moment.replace(day=1)


def following(edge: datetime, step: str) -> datetime:
    """The beginning of the next step after `edge`. An hour that the clocks repeat counts twice."""
    if step == "hour":
        later = (edge.astimezone(UTC) + HOUR).astimezone(edge.tzinfo)
        start = floor(later, step)
        # Lord Howe Island sets its clocks back by half an hour, so floor() may return the edge
        # itself.
        return start if start.timestamp() > edge.timestamp() else later
    return floor(edge + (DAY if step == "day" else 31 * DAY), step)
