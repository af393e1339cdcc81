"""Count the errors that were there before there was such a count."""

from typing import Any

from django.db import migrations, transaction

LOCKS = """
    SELECT pg_advisory_xact_lock(hashtextextended('rebuild of ' || %(organization)s, 0)),
        pg_advisory_xact_lock(hashtextextended('errors of ' || %(organization)s, 0))
"""
# What is missing between the errors and the sums over both tables, all seen at one moment: adding
# it is right whatever is written meanwhile, and doing it again adds nothing.
COUNT = """
    WITH known AS (
        SELECT fingerprint, executions_place(timestamp, 86400) AS day,
            coalesce(user_id, %(nobody)s) AS user_id, agent_name, count(*) AS errors
        FROM executions_executionerror error JOIN executions_execution execution
            ON execution.organization_id = error.organization_id
            AND execution.id = error.execution_id
        WHERE error.organization_id = %(organization)s
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT fingerprint, day, user_id, agent_name, -errors
        FROM executions_errorchange WHERE organization_id = %(organization)s
    ), counted AS (
        SELECT span.*, fingerprint, errors
        FROM known CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
        UNION ALL
        SELECT seconds, property, place, value, fingerprint, -errors
        FROM executions_errorcount WHERE organization_id = %(organization)s
    )
    INSERT INTO executions_errorcount AS kept
        (organization_id, seconds, property, place, fingerprint, value, errors)
    SELECT %(organization)s, seconds, property, place, fingerprint, value, sum(errors)
    FROM counted GROUP BY 2, 3, 4, 5, 6 HAVING sum(errors) <> 0
    ON CONFLICT (organization_id, seconds, property, place, fingerprint, value) DO UPDATE SET
        errors = kept.errors + excluded.errors
"""
NOBODY = "00000000-0000-0000-0000-000000000000"


def fill(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id::text FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            values = {"organization": organization, "nobody": NOBODY}
            with transaction.atomic(alias):
                cursor.execute("SELECT set_config('app.organization_id', %s, true)", [organization])
                cursor.execute(LOCKS, values)
                cursor.execute(COUNT, values)


class Migration(migrations.Migration):
    # Each organization is committed by itself, so that requests go on meanwhile.
    atomic = False
    dependencies = [("executions", "0035_errors_counted")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
