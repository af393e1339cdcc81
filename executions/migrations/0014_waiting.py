"""Keep how long each execution awaited an answer: its runtime does not count that.

What ran before is read again from its events.
"""

import json
from typing import Any

from django.db import migrations, models

READ = """
    SELECT execution_id, timestamp, kind, message FROM executions_executionevent
    WHERE organization_id = %s AND execution_id IN (
        SELECT execution_id FROM executions_executionevent WHERE organization_id = %s
        AND (kind = 'lock' OR kind = 'status' AND lower(trim(message)) = 'awaiting')
    ) ORDER BY execution_id, timestamp, sequence
"""
SAVE = """
    UPDATE executions_execution SET waiting_seconds = %s
    WHERE organization_id = %s AND id = %s
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
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            scope = "SELECT set_config('app.organization_id', %s, true)"
            cursor.execute(scope, [str(organization)])
            cursor.execute(READ, [organization, organization])
            told: dict[Any, list[tuple[float, str, str]]] = {}
            for execution, *event in cursor.fetchall():
                told.setdefault(execution, []).append(tuple(event))
            for execution, events in told.items():
                cursor.execute(SAVE, [waiting(events), organization, execution])
        cursor.execute("SELECT set_config('app.organization_id', '', true)")


class Migration(migrations.Migration):
    dependencies = [("executions", "0013_ended_index")]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="waiting_seconds",
            field=models.FloatField(
                db_default=0,
                default=0,
                help_text="How much of the time from the first to the last event it awaited an "
                "answer.",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
