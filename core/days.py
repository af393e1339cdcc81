"""Hours, days and months as the clocks of a zone count them, and where the calendar ends."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MAX_TIMESTAMP = 253_402_300_799
"""The last one of the year 9999, in Unix seconds: no datetime is later."""
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
"""In the order in which PostgreSQL counts them."""


def day_start(day: date, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which a day begins; where the clocks skip midnight, the end of the
    gap. The first day of the calendar may begin where the calendar does."""
    try:
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def day_end(day: date, zone: tzinfo) -> datetime:
    """The instant at which the next day begins; the end of the calendar for its last day."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else day_start(day + DAY, zone)


def floor(moment: datetime, step: str) -> datetime:
    """The beginning of the `hour`, `day` or `month` that the moment lies in, on its own clocks."""
    if step == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    moment = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return moment if step == "day" else moment.replace(day=1)


def following(edge: datetime, step: str) -> datetime:
    """The beginning of the next one; of an hour that the clocks repeat as well."""
    if step == "hour":
        later = (edge.astimezone(UTC) + HOUR).astimezone(edge.tzinfo)
        start = floor(later, step)
        # Lord Howe Island's clocks go back by half an hour: its beginning may be the edge again.
        return start if start.timestamp() > edge.timestamp() else later
    return floor(edge + (DAY if step == "day" else 31 * DAY), step)
