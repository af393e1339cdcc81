"""The single query layer behind the dashboard's API, pages and CSV files.

Functions take `(organization, actor, filters)`, see only what the actor may see, and run inside the
organization's scope. Lists are querysets, numbers are frozen dataclasses.
"""

from executions.queries.agent_days import RunDay, agent_days, agent_totals
from executions.queries.buckets import Bucket, Buckets, count_over_time
from executions.queries.error_counts import (
    GroupTotal,
    count_errors,
    count_errors_by_agent,
    group_totals,
)
from executions.queries.error_states import (
    ANY_STATE,
    MAX_STATES,
    NOT_STATE,
    STATE,
    GroupState,
    StateFilter,
    parse_state,
    state_of,
)
from executions.queries.grouping import ErrorGroup, ErrorGroups, error_groups
from executions.queries.listing import (
    BYTES_OF_MESSAGE,
    BYTES_OF_META,
    MAX_TEXT_LENGTH,
    errors,
    executions,
    first_version,
    has_errors,
    in_batches,
    waiting,
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
from executions.queries.tally import NO_MORE, Rest, count

__all__ = [
    "ANY_STATE",
    "BYTES_OF_MESSAGE",
    "BYTES_OF_META",
    "FAILED",
    "MAX_STATES",
    "MAX_TEXT_LENGTH",
    "NOT_STATE",
    "NO_MORE",
    "PERCENTILES",
    "RUNTIME",
    "STATE",
    "Bucket",
    "Buckets",
    "ErrorGroup",
    "ErrorGroups",
    "GroupState",
    "GroupTotal",
    "RecentActivity",
    "Rest",
    "RunDay",
    "StateFilter",
    "Statistics",
    "Totals",
    "agent_days",
    "agent_totals",
    "count",
    "count_errors",
    "count_errors_by_agent",
    "count_over_time",
    "error_groups",
    "error_rate",
    "errors",
    "executions",
    "first_version",
    "group_totals",
    "has_errors",
    "in_batches",
    "live_by_status",
    "parse_state",
    "recent_activity",
    "state_of",
    "statistics",
    "totals",
    "waiting",
    "with_texts",
]
