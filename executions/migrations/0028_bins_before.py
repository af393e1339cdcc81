"""The bins of executions that ended before there were bins."""

from typing import Any

from django.db import migrations, transaction

BATCH = 1000
"""Executions whose rows are locked at a time."""
FIRST = "00000000-0000-0000-0000-000000000000"
# The trigger computes both. The executions before `last` are done, or have none.
KEEP = """
    WITH batch AS (
        SELECT id FROM executions_execution
        WHERE organization_id = %(organization)s AND id > %(last)s ORDER BY id LIMIT %(batch)s
    ), kept AS (
        UPDATE executions_execution SET runtime_bin = 0
        WHERE id IN (SELECT id FROM batch) AND runtime_bin IS NULL AND runtime_seconds IS NOT NULL
    )
    SELECT max(id::text) FROM batch
"""


def fill(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id::text FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            last = FIRST
            while last:
                with transaction.atomic(alias):
                    cursor.execute(
                        "SELECT set_config('app.organization_id', %s, true)", [organization]
                    )
                    values = {"organization": organization, "last": last, "batch": BATCH}
                    cursor.execute(KEEP, values)
                    (last,) = cursor.fetchone()


class Migration(migrations.Migration):
    # Each batch is committed by itself, so that requests go on meanwhile.
    atomic = False
    dependencies = [("executions", "0027_runtime_bins")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
