"""Count executions that have ended in the transaction that ends, changes or deletes them.

Row triggers write how much was added or removed into a table of changes, which are added up now and
then. They fire only for executions that have ended, so events, which are many, cost nothing.
"""

import django.db.models.deletion
from django.db import migrations, models

from organizations.tenancy.migration_operations import IsolateOrganizations

ADD_UP = """
CREATE FUNCTION executions_add_up_ended(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ended executions of ' || organization, 0))
    THEN
        RETURN;
    END IF;
    WITH known AS (
        DELETE FROM executions_endedchange WHERE organization_id = organization RETURNING *
    )
    INSERT INTO executions_endedcount AS counted
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    SELECT organization, status, user_id, agent_id, agent_name,
        sum(executions), sum(timed), sum(elapsed)
    FROM known GROUP BY 2, 3, 4, 5
    ON CONFLICT (organization_id, status, user_id, agent_id, agent_name) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed;
    DELETE FROM executions_endedcount
    WHERE organization_id = organization AND executions = 0 AND timed = 0 AND elapsed = 0;
END $$;
"""

CHANGE = """
CREATE FUNCTION executions_change_ended(ended executions_execution, times integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_timed boolean := coalesce(ended.end_time > ended.start_time, false);
    written bigint;
BEGIN
    INSERT INTO executions_endedchange
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    VALUES (
        ended.organization_id, ended.status,
        coalesce(ended.user_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(ended.agent_id, '00000000-0000-0000-0000-000000000000'), ended.agent_name,
        times, times * is_timed::integer,
        CASE WHEN is_timed
            THEN times * round((ended.end_time - ended.start_time)::numeric, 12) ELSE 0 END
    )
    RETURNING number INTO written;
    IF written % 64 = 0 THEN
        PERFORM executions_add_up_ended(ended.organization_id);
    END IF;
END $$;
"""

COUNT = """
CREATE FUNCTION executions_count_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends constant text[] := ARRAY['finished', 'error', 'cancelled'];
BEGIN
    IF TG_OP = 'UPDATE'
        AND (NEW.status, NEW.user_id, NEW.agent_id, NEW.agent_name, NEW.start_time, NEW.end_time)
        IS NOT DISTINCT FROM
        (OLD.status, OLD.user_id, OLD.agent_id, OLD.agent_name, OLD.start_time, OLD.end_time)
    THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.status = ANY (ends) THEN
        PERFORM executions_change_ended(OLD, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.status = ANY (ends) THEN
        PERFORM executions_change_ended(NEW, 1);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER executions_count_ended_insert AFTER INSERT ON executions_execution
    FOR EACH ROW WHEN (NEW.status IN ('finished', 'error', 'cancelled'))
    EXECUTE FUNCTION executions_count_ended();
CREATE TRIGGER executions_count_ended_update AFTER UPDATE ON executions_execution
    FOR EACH ROW WHEN (OLD.status IN ('finished', 'error', 'cancelled')
                       OR NEW.status IN ('finished', 'error', 'cancelled'))
    EXECUTE FUNCTION executions_count_ended();
CREATE TRIGGER executions_count_ended_delete AFTER DELETE ON executions_execution
    FOR EACH ROW WHEN (OLD.status IN ('finished', 'error', 'cancelled'))
    EXECUTE FUNCTION executions_count_ended();
"""
NO_COUNT = """
DROP TRIGGER executions_count_ended_insert ON executions_execution;
DROP TRIGGER executions_count_ended_update ON executions_execution;
DROP TRIGGER executions_count_ended_delete ON executions_execution;
DROP FUNCTION executions_count_ended();
"""
FIELDS = (
    ("status", models.CharField(max_length=16)),
    ("user_id", models.UUIDField(help_text="The ExecutionUser, or zeros.")),
    ("agent_id", models.UUIDField(help_text="The agent, or zeros.")),
    ("agent_name", models.CharField(max_length=255)),
    ("executions", models.BigIntegerField()),
    ("timed", models.BigIntegerField(help_text="Those with a runtime.")),
    (
        "elapsed",
        models.DecimalField(
            max_digits=40, decimal_places=12, help_text="Their seconds, waiting included."
        ),
    ),
    (
        "organization",
        models.ForeignKey(
            db_index=False,
            on_delete=django.db.models.deletion.PROTECT,
            related_name="+",
            to="organizations.organization",
        ),
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0020_help_texts"),
        ("organizations", "0019_help_texts"),
    ]

    operations = [
        migrations.CreateModel(
            name="EndedCount",
            fields=[
                *FIELDS,
                (
                    "pk",
                    models.CompositePrimaryKey(
                        *("organization_id", "status", "user_id", "agent_id", "agent_name"),
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        migrations.CreateModel(
            name="EndedChange",
            fields=[*FIELDS, ("number", models.BigAutoField(primary_key=True, serialize=False))],
            options={
                "indexes": [
                    models.Index(fields=["organization", "number"], name="executions_ended_change")
                ]
            },
        ),
        IsolateOrganizations("EndedCount", has_id=False),
        IsolateOrganizations("EndedChange", has_id=False),
        migrations.RunSQL(ADD_UP, "DROP FUNCTION executions_add_up_ended(uuid)"),
        migrations.RunSQL(
            CHANGE, "DROP FUNCTION executions_change_ended(executions_execution, integer)"
        ),
        migrations.RunSQL(COUNT, NO_COUNT),
    ]
