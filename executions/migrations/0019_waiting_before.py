"""How long what ran before awaited an answer, read again from its events."""

import json
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import migrations, transaction

BATCH = 1000
"""Executions whose rows are locked at a time."""

AWAITED = """
    SELECT DISTINCT execution_id FROM executions_executionevent
    WHERE organization_id = %s
    AND (kind = 'lock' OR kind = 'status' AND lower(trim(message)) = 'awaiting')
"""
READ = """
    SELECT execution_id, timestamp, kind,
        CASE WHEN kind IN ('status', 'lock', 'lease') THEN message ELSE '' END
    FROM executions_executionevent
    WHERE organization_id = %s AND execution_id = ANY (%s)
    ORDER BY execution_id, timestamp, sequence
"""
SAVE = """
    UPDATE executions_execution e SET waiting_seconds = found.seconds
    FROM unnest(%s::uuid[], %s::float8[]) AS found(id, seconds)
    WHERE e.organization_id = %s AND e.id = found.id
"""


def lock_of(message: str) -> str:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return ""
    inner = value.get("dict", value) if isinstance(value, dict) else {}
    found = inner.get("lid") if isinstance(inner, dict) else None
    return found if isinstance(found, str) else ""


def waiting(told: list[tuple[float, str, str]]) -> float:
    """Seconds between events after which it awaited an answer."""
    total, reached, status, locks = 0.0, None, "", set()
    for timestamp, kind, message in told:
        if status == "awaiting" and reached is not None:
            total += max(timestamp - reached, 0)
        reached = timestamp if reached is None else max(reached, timestamp)
        if kind == "status":
            status = message.strip().lower()
            if status == "running" and locks:
                status = "awaiting"
        elif kind == "lock" and lock_of(message):
            locks.add(lock_of(message))
            if status in {"starting", "running"}:
                status = "awaiting"
        elif kind == "lease":
            locks.discard(lock_of(message))
            if not locks and status == "awaiting":
                status = "running"
    return total


def fill(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            with transaction.atomic(alias):
                enter(cursor, organization)
                cursor.execute(AWAITED, [organization])
                executions = [execution for (execution,) in cursor.fetchall()]
            for start in range(0, len(executions), BATCH):
                with transaction.atomic(alias):
                    enter(cursor, organization)
                    fill_some(cursor, organization, executions[start : start + BATCH])


def fill_some(cursor: Any, organization: Any, executions: list[Any]) -> None:
    cursor.execute(READ, [organization, executions])
    found = {
        execution: waiting([(at, kind, message) for _, at, kind, message in events])
        for execution, events in groupby(cursor.fetchall(), key=itemgetter(0))
    }
    cursor.execute(SAVE, [list(found), list(found.values()), organization])


def enter(cursor: Any, organization: Any) -> None:
    cursor.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization)])


class Migration(migrations.Migration):
    # Each batch is committed by itself, so that requests go on meanwhile. To run it again does the
    # same again.
    atomic = False
    dependencies = [("executions", "0018_file_counts")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
