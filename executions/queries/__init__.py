"""The single query layer behind the dashboard's API, pages and CSV files.

Functions take `(organization, actor, filters)`, see only what the actor may see, and run inside the
organization's scope. Lists are querysets, numbers are frozen dataclasses.
"""

from executions.queries.agent_days import AgentDay, agent_days
from executions.queries.buckets import Bucket, Buckets, count_by_hour
from executions.queries.error_counts import (
    GroupTotal,
    count_errors,
    count_errors_by_agent,
    group_totals,
)
from executions.queries.grouping import ErrorGroup, ErrorGroups, error_groups
from executions.queries.listing import (
    BYTES_OF_MESSAGE,
    MAX_TEXT_LENGTH,
    errors,
    executions,
    has_errors,
    in_batches,
    with_texts,
)
from executions.queries.numbers import (
    FAILED,
    RecentActivity,
    Statistics,
    Totals,
    error_rate,
    live_by_status,
    recent_activity,
    statistics,
    totals,
)
from executions.queries.percentiles import PERCENTILES, RUNTIME
from executions.queries.tally import count

__all__ = [
    "BYTES_OF_MESSAGE",
    "FAILED",
    "MAX_TEXT_LENGTH",
    "PERCENTILES",
    "RUNTIME",
    "AgentDay",
    "Bucket",
    "Buckets",
    "ErrorGroup",
    "ErrorGroups",
    "GroupTotal",
    "RecentActivity",
    "Statistics",
    "Totals",
    "agent_days",
    "count",
    "count_by_hour",
    "count_errors",
    "count_errors_by_agent",
    "error_groups",
    "error_rate",
    "errors",
    "executions",
    "group_totals",
    "has_errors",
    "in_batches",
    "live_by_status",
    "recent_activity",
    "statistics",
    "totals",
    "with_texts",
]
