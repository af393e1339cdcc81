"""Count the executions that ended before there was a count."""

from typing import Any

from django.db import migrations, transaction

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rebuild of ' || %s, 0))"
# What is missing between the executions and the sums over both tables, all seen at one moment:
# adding it is right whatever ends meanwhile, and doing it again adds nothing.
COUNT = """
    WITH counted AS (
        SELECT organization_id, status,
            coalesce(user_id, '00000000-0000-0000-0000-000000000000') AS user_id,
            coalesce(agent_id, '00000000-0000-0000-0000-000000000000') AS agent_id, agent_name,
            count(*) AS executions, count(*) FILTER (WHERE end_time > start_time) AS timed,
            coalesce(sum(round((end_time - start_time)::numeric, 12))
                FILTER (WHERE end_time > start_time), 0) AS elapsed
        FROM executions_execution WHERE status IN ('finished', 'error', 'cancelled')
        GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT organization_id, status, user_id, agent_id, agent_name,
            -executions, -timed, -elapsed FROM executions_endedcount
        UNION ALL
        SELECT organization_id, status, user_id, agent_id, agent_name,
            -executions, -timed, -elapsed FROM executions_endedchange
    )
    INSERT INTO executions_endedchange
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    SELECT organization_id, status, user_id, agent_id, agent_name,
        sum(executions), sum(timed), sum(elapsed)
    FROM counted GROUP BY 1, 2, 3, 4, 5
    HAVING (sum(executions), sum(timed), sum(elapsed)) <> (0, 0, 0)
"""


def fill(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT id::text FROM organizations_organization")
        for (organization,) in cursor.fetchall():
            with transaction.atomic(alias):
                cursor.execute("SELECT set_config('app.organization_id', %s, true)", [organization])
                cursor.execute(LOCK, [organization])
                cursor.execute(COUNT)
                cursor.execute("SELECT executions_add_up_ended(%s::uuid)", [organization])


class Migration(migrations.Migration):
    # Each organization is committed by itself, so that requests go on meanwhile.
    atomic = False
    dependencies = [("executions", "0021_ended_counts")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
