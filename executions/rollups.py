"""What is counted of executions; core/rollups.py explains how."""

from core.rollups import Rollup
from executions.models import NOBODY, Execution

ENDS = ", ".join(f"'{status}'" for status in Execution.FINAL)
IS_TIMED = "end_time > start_time"
ELAPSED = "sum(round((end_time - start_time)::numeric, 12))"

ENDED = Rollup(
    table="executions_endedcount",
    changes="executions_endedchange",
    source="executions_execution",
    where=f"status IN ({ENDS})",
    key={
        "organization_id": "organization_id",
        "status": "status",
        "user_id": f"coalesce(user_id, '{NOBODY}')",
        "agent_id": f"coalesce(agent_id, '{NOBODY}')",
        "agent_name": "agent_name",
    },
    counts={
        "executions": "count(*)",
        "timed": f"count(*) FILTER (WHERE {IS_TIMED})",
        "elapsed": f"coalesce({ELAPSED} FILTER (WHERE {IS_TIMED}), 0)",
    },
)
ROLLUPS = (ENDED,)
