"""The record of executions. A kodosumi "execution" and an agent-bot "task" are the same row."""

from executions.models.columns import TransactionNumber
from executions.models.counts import (
    NOBODY,
    EndedChange,
    EndedCount,
    EndedInTime,
    ErrorChange,
    ErrorCount,
)
from executions.models.event import MAX_SEQUENCE, ExecutionError, ExecutionEvent
from executions.models.execution import (
    OPERATORS,
    RESERVED_IDS,
    UNKNOWN_AGENT,
    Execution,
    ExecutionQuerySet,
    new_execution,
    now,
    sees_all,
)
from executions.models.file import ExecutionFile, Upload, UploadPart
from executions.models.person import ExecutionUser
from executions.models.refusals import (
    ErrorGroupNotFound,
    EventAfterEnd,
    ExecutionHasEnded,
    ExecutionNotFound,
    IllegalTransition,
    LeaseLost,
    ResolutionNotFound,
)
from executions.models.resolution import MAX_NOTE, ErrorResolution, ErrorState
from executions.models.storage import DeletedExecution, StoredChange, UnfinishedDeletion

__all__ = [
    "MAX_NOTE",
    "MAX_SEQUENCE",
    "NOBODY",
    "OPERATORS",
    "RESERVED_IDS",
    "UNKNOWN_AGENT",
    "DeletedExecution",
    "EndedChange",
    "EndedCount",
    "EndedInTime",
    "ErrorChange",
    "ErrorCount",
    "ErrorGroupNotFound",
    "ErrorResolution",
    "ErrorState",
    "EventAfterEnd",
    "Execution",
    "ExecutionError",
    "ExecutionEvent",
    "ExecutionFile",
    "ExecutionHasEnded",
    "ExecutionNotFound",
    "ExecutionQuerySet",
    "ExecutionUser",
    "IllegalTransition",
    "LeaseLost",
    "ResolutionNotFound",
    "StoredChange",
    "TransactionNumber",
    "UnfinishedDeletion",
    "Upload",
    "UploadPart",
    "new_execution",
    "now",
    "sees_all",
]
