"""Actions on executions by agents and people."""

from executions.actions.access import locked_for_report, moment, require_reporter
from executions.actions.batches import ReportedEvent, SequenceConflict, SequenceGap
from executions.actions.error_groups import (
    forget_resolutions,
    reopen_error_group,
    resolve_error_group,
)
from executions.actions.removal import (
    ExecutionIsImported,
    ExecutionIsLive,
    delete_execution,
    delete_executions,
    remove_execution,
    stop_execution,
)
from executions.actions.reporting import (
    Appended,
    ExecutionExists,
    ExecutionWasDeleted,
    append,
    finish,
    heartbeat,
    report_execution,
    update_figures,
)

__all__ = [
    "Appended",
    "ExecutionExists",
    "ExecutionIsImported",
    "ExecutionIsLive",
    "ExecutionWasDeleted",
    "ReportedEvent",
    "SequenceConflict",
    "SequenceGap",
    "append",
    "delete_execution",
    "delete_executions",
    "finish",
    "forget_resolutions",
    "heartbeat",
    "locked_for_report",
    "moment",
    "remove_execution",
    "reopen_error_group",
    "report_execution",
    "require_reporter",
    "resolve_error_group",
    "stop_execution",
    "update_figures",
]
