"""What is counted of executions; core/rollups.py explains how."""

from core.rollups import Rollup
from executions.models import NOBODY, Execution

ENDS = ", ".join(f"'{status}'" for status in Execution.FINAL)
IS_TIMED = "end_time > start_time"
ELAPSED = "sum(round((end_time - start_time)::numeric, 12))"
PERSON = f"coalesce(user_id, '{NOBODY}')"
AGENT = f"coalesce(agent_id, '{NOBODY}')"
ADDING_UP = "hashtextextended('ended executions of ' || current_setting('app.organization_id'), 0)"
COUNTS = {
    "executions": "count(*)",
    "timed": f"count(*) FILTER (WHERE {IS_TIMED})",
    "elapsed": f"coalesce({ELAPSED} FILTER (WHERE {IS_TIMED}), 0)",
}
QUARTER = "executions_place(start_time, 900)"
LAST_DAY = "executions_place(greatest(start_time, end_time), 86400)"
SPANS = "CROSS JOIN LATERAL executions_spans({}) AS span"
SPANS_OF_EXECUTION = SPANS.format(
    f"status, {PERSON}, {AGENT}, agent_name, {QUARTER}, {LAST_DAY}, runtime_bin"
)
SPANS_OF_CHANGE = SPANS.format(
    "status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin"
)

ENDED = Rollup(
    table="executions_endedcount",
    changes="executions_endedchange",
    lock=ADDING_UP,
    source="executions_execution",
    where=f"status IN ({ENDS})",
    key={
        "organization_id": "organization_id",
        "status": "status",
        "user_id": PERSON,
        "agent_id": AGENT,
        "agent_name": "agent_name",
    },
    counts=COUNTS,
)
IN_TIME = Rollup(
    table="executions_endedintime",
    changes=f"""(
        SELECT organization_id, span.*, executions, timed, elapsed, cost,
            CASE status WHEN '{Execution.FAILED}' THEN executions ELSE 0 END AS failed
        FROM executions_endedchange {SPANS_OF_CHANGE}
    ) AS changes""",  # noqa: S608 - no user input
    lock=ADDING_UP,
    source=f"executions_execution {SPANS_OF_EXECUTION}",
    where=f"status IN ({ENDS})",
    key={
        "organization_id": "organization_id",
        "clock": "span.clock",
        "seconds": "span.seconds",
        "property": "span.property",
        "place": "span.place",
        "value": "span.value",
    },
    counts=COUNTS
    | {
        "failed": f"count(*) FILTER (WHERE status = '{Execution.FAILED}')",
        "cost": "coalesce(sum(cost), 0)",
    },
)
# Of executions that are there: the errors of deleted ones may stay for a while.
ERRORS = Rollup(
    table="executions_errorcount",
    changes="""(
        SELECT organization_id, span.*, fingerprint, errors FROM executions_errorchange
        CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
    ) AS changes""",
    lock="hashtextextended('errors of ' || current_setting('app.organization_id'), 0)",
    source=f"""executions_executionerror AS error
        JOIN executions_execution AS execution
            ON execution.organization_id = error.organization_id
            AND execution.id = error.execution_id
        CROSS JOIN LATERAL executions_error_spans(
            executions_place(timestamp, 86400), {PERSON}, agent_name
        ) AS span""",
    key={
        "organization_id": "error.organization_id",
        "seconds": "span.seconds",
        "property": "span.property",
        "place": "span.place",
        "fingerprint": "fingerprint",
        "value": "span.value",
    },
    counts={"errors": "count(*)"},
)
ROLLUPS = (ENDED, IN_TIME, ERRORS)
