"""Count by time the executions that ended before there was such a count."""

from typing import Any

from django.db import migrations, transaction

LOCKS = """
    SELECT pg_advisory_xact_lock(hashtextextended('rebuild of ' || %(organization)s, 0)),
        pg_advisory_xact_lock(hashtextextended('ended executions of ' || %(organization)s, 0))
"""
# What is missing between the executions and the sums over both tables, all seen at one moment:
# adding it is right whatever ends meanwhile, and doing it again adds nothing.
COUNT = """
    WITH known AS (
        SELECT status, coalesce(user_id, %(nobody)s) AS user_id,
            coalesce(agent_id, %(nobody)s) AS agent_id, agent_name,
            executions_place(start_time, 900) AS start_quarter,
            executions_place(greatest(start_time, end_time), 86400) AS last_day, runtime_bin,
            count(*) AS executions, count(*) FILTER (WHERE end_time > start_time) AS timed,
            coalesce(sum(round((end_time - start_time)::numeric, 12))
                FILTER (WHERE end_time > start_time), 0) AS elapsed, coalesce(sum(cost), 0) AS cost
        FROM executions_execution
        WHERE organization_id = %(organization)s AND status IN ('finished', 'error', 'cancelled')
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL
        SELECT status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin,
            -executions, -timed, -elapsed, -cost
        FROM executions_endedchange WHERE organization_id = %(organization)s
    ), counted AS (
        SELECT span.*, executions, timed, elapsed,
            CASE status WHEN 'error' THEN executions ELSE 0 END AS failed, cost
        FROM known CROSS JOIN LATERAL executions_spans(
            status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin
        ) AS span
        UNION ALL
        SELECT clock, seconds, property, place, value,
            -executions, -timed, -elapsed, -failed, -cost
        FROM executions_endedintime WHERE organization_id = %(organization)s
    )
    INSERT INTO executions_endedintime AS kept
        (organization_id, clock, seconds, property, place, value,
        executions, timed, elapsed, failed, cost)
    SELECT %(organization)s, clock, seconds, property, place, value,
        sum(executions), sum(timed), sum(elapsed), sum(failed), sum(cost)
    FROM counted GROUP BY 2, 3, 4, 5, 6
    HAVING (sum(executions), sum(timed), sum(elapsed), sum(failed), sum(cost)) <> (0, 0, 0, 0, 0)
    ON CONFLICT (organization_id, clock, seconds, property, place, value) DO UPDATE SET
        executions = kept.executions + excluded.executions,
        timed = kept.timed + excluded.timed,
        elapsed = kept.elapsed + excluded.elapsed,
        failed = kept.failed + excluded.failed,
        cost = kept.cost + excluded.cost
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
    dependencies = [("executions", "0029_ended_in_time")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
