from analytics.models.rollups import (
    NOBODY,
    AgentDayUsage,
    AgentMonthUsage,
    HourUsage,
    QuarterUsage,
    Usage,
)
from analytics.models.snooze import FindingSnooze, FindingSnoozeQuerySet

__all__ = [
    "NOBODY",
    "AgentDayUsage",
    "AgentMonthUsage",
    "FindingSnooze",
    "FindingSnoozeQuerySet",
    "HourUsage",
    "QuarterUsage",
    "Usage",
]
