"""The runtimes of executions that ended before they were kept."""

from typing import Any

from django.db import migrations, transaction

BATCH = 1000
"""Executions whose rows are locked at a time."""
# The trigger computes it.
KEEP = """
    UPDATE executions_execution SET runtime_seconds = 0 WHERE id IN (
        SELECT id FROM executions_execution
        WHERE organization_id = %s AND runtime_seconds IS NULL AND end_time > start_time
        AND status IN ('finished', 'error', 'cancelled') LIMIT %s
    )
"""


def fill(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id::text FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            has_more = True
            while has_more:
                with transaction.atomic(alias):
                    cursor.execute(
                        "SELECT set_config('app.organization_id', %s, true)", [organization]
                    )
                    cursor.execute(KEEP, [organization, BATCH])
                    has_more = cursor.rowcount > 0


class Migration(migrations.Migration):
    # Each batch is committed by itself, so that requests go on meanwhile.
    atomic = False
    dependencies = [("executions", "0023_runtime_seconds")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
