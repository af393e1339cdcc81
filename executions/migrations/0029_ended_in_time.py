"""Count executions that have ended by the time at which they started or ended.

The changes hold what else an execution counts in, and are added up into one table more. Its rows
have one property each, because combinations of them would be as many as the executions.
"""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from core.migration_locks import lock_together
from organizations.tenancy.migration_operations import IsolateOrganizations

PLACE = """
CREATE OR REPLACE FUNCTION executions_place(moment double precision, seconds integer)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT floor(greatest(least(moment / seconds, 1e9), -1e9))::integer;
$$;
"""
SPANS = """
CREATE OR REPLACE FUNCTION executions_spans(
    status text, user_id uuid, agent_id uuid, agent_name text,
    start_quarter integer, last_day integer, runtime_bin smallint
) RETURNS TABLE (clock text, seconds integer, property text, place integer, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT span.clock, span.seconds, of.property, span.place, of.value
    FROM (VALUES
        ('', 0, start_quarter * 0),
        ('start', 86400, floor(start_quarter / 96.0)::integer),
        ('last', 86400, last_day)
    ) AS span (clock, seconds, place)
    CROSS JOIN (VALUES
        ('status', status), ('user', user_id::text), ('agent', agent_name),
        ('runtime', runtime_bin::text)
    ) AS of (property, value)
    WHERE span.place IS NOT NULL AND of.value IS NOT NULL
    UNION ALL
    SELECT 'start', span.seconds, span.property, span.place, span.value
    FROM (VALUES
        (86400, 'agent_id', floor(start_quarter / 96.0)::integer, agent_id::text),
        (3600, 'status', floor(start_quarter / 4.0)::integer, status),
        (900, 'status', start_quarter, status)
    ) AS span (seconds, property, place, value)
    WHERE span.place IS NOT NULL;
$$;
"""
CHANGE = """
CREATE OR REPLACE FUNCTION executions_change_ended(ended executions_execution, times integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_timed boolean := coalesce(ended.end_time > ended.start_time, false);
    written bigint;
BEGIN
    INSERT INTO executions_endedchange
        (organization_id, status, user_id, agent_id, agent_name, start_quarter, last_day,
        runtime_bin, executions, timed, elapsed, cost)
    VALUES (
        ended.organization_id, ended.status,
        coalesce(ended.user_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(ended.agent_id, '00000000-0000-0000-0000-000000000000'), ended.agent_name,
        executions_place(ended.start_time, 900),
        executions_place(greatest(ended.start_time, ended.end_time), 86400),
        ended.runtime_bin, times, times * is_timed::integer,
        CASE WHEN is_timed
            THEN times * round((ended.end_time - ended.start_time)::numeric, 12) ELSE 0 END,
        times * coalesce(ended.cost, 0)
    )
    RETURNING number INTO written;
    IF written % 64 = 0 THEN
        PERFORM executions_add_up_ended(ended.organization_id);
    END IF;
END $$;
"""
CHANGE_BEFORE = """
CREATE OR REPLACE FUNCTION executions_change_ended(ended executions_execution, times integer)
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
ADD_UP = """
CREATE OR REPLACE FUNCTION executions_add_up_ended(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known executions_endedchange[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ended executions of ' || organization, 0))
    THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM executions_endedchange WHERE organization_id = organization RETURNING *
    )
    SELECT array_agg(gone::executions_endedchange) INTO known FROM gone;
    INSERT INTO executions_endedcount AS counted
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    SELECT organization, status, user_id, agent_id, agent_name,
        sum(executions), sum(timed), sum(elapsed)
    FROM unnest(known) GROUP BY 2, 3, 4, 5
    ON CONFLICT (organization_id, status, user_id, agent_id, agent_name) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed;
    INSERT INTO executions_endedintime AS counted
        (organization_id, clock, seconds, property, place, value,
        executions, timed, elapsed, failed, cost)
    SELECT organization, span.*, sum(executions), sum(timed), sum(elapsed),
        coalesce(sum(executions) FILTER (WHERE status = 'error'), 0), sum(cost)
    FROM unnest(known) CROSS JOIN LATERAL executions_spans(
        status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin
    ) AS span
    GROUP BY span.clock, span.seconds, span.property, span.place, span.value
    ON CONFLICT (organization_id, clock, seconds, property, place, value) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed,
        failed = counted.failed + excluded.failed,
        cost = counted.cost + excluded.cost;
    IF EXISTS (SELECT FROM unnest(known) WHERE executions <= 0) THEN
        DELETE FROM executions_endedcount
        WHERE organization_id = organization AND executions = 0 AND timed = 0 AND elapsed = 0;
        DELETE FROM executions_endedintime AS counted
        USING (
            SELECT DISTINCT span.* FROM unnest(known) CROSS JOIN LATERAL executions_spans(
                status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin
            ) AS span
        ) AS changed
        WHERE organization_id = organization
        AND (counted.clock, counted.seconds, counted.property, counted.place, counted.value)
            = (changed.clock, changed.seconds, changed.property, changed.place, changed.value)
        AND (executions, timed, elapsed, failed, cost) = (0, 0, 0, 0, 0);
    END IF;
END $$;
"""
ADD_UP_BEFORE = """
CREATE OR REPLACE FUNCTION executions_add_up_ended(organization uuid) RETURNS void
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
COUNT = """
CREATE OR REPLACE FUNCTION executions_count_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends constant text[] := ARRAY['finished', 'error', 'cancelled'];
BEGIN
    IF TG_OP = 'UPDATE'
        AND (NEW.status, NEW.user_id, NEW.agent_id, NEW.agent_name, NEW.start_time, NEW.end_time,
            NEW.runtime_bin, NEW.cost)
        IS NOT DISTINCT FROM
        (OLD.status, OLD.user_id, OLD.agent_id, OLD.agent_name, OLD.start_time, OLD.end_time,
            OLD.runtime_bin, OLD.cost)
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
"""
COUNT_BEFORE = """
CREATE OR REPLACE FUNCTION executions_count_ended() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""
# The kinds of rows are not independent of each other: a planner that thinks so expects forty times
# as many of them, and reads the whole table.
KINDS = """
CREATE STATISTICS executions_endedintime_kinds (mcv)
ON organization_id, clock, seconds, property FROM executions_endedintime
"""
# Plain SQL, because the locks are held until the end: Django computes the state of all models between
# two operations, which takes longer than they do.
WITH_TIMES = """
ALTER TABLE executions_endedchange
    ADD COLUMN start_quarter integer NULL, ADD COLUMN last_day integer NULL,
    ADD COLUMN runtime_bin smallint NULL, ADD COLUMN cost numeric(40, 8) DEFAULT 0 NOT NULL;
DROP INDEX executions_execution_newest, executions_execution_ended, executions_execution_runtime;
CREATE INDEX executions_execution_newest ON executions_execution
    (organization_id, start_time DESC, id DESC)
    INCLUDE (status, user_id, agent_name, end_time, waiting_seconds, runtime_bin);
CREATE INDEX executions_execution_ended ON executions_execution (organization_id, end_time)
    INCLUDE (status, user_id, agent_name, start_time, runtime_bin)
    WHERE status IN ('finished', 'error', 'cancelled');
CREATE INDEX executions_execution_bin ON executions_execution
    (organization_id, runtime_bin, start_time) INCLUDE (runtime_seconds)
    WHERE runtime_bin IS NOT NULL;
CREATE INDEX executions_execution_end_bin ON executions_execution
    (organization_id, runtime_bin, end_time) INCLUDE (runtime_seconds)
    WHERE runtime_bin IS NOT NULL;
"""
WITHOUT_TIMES = """
DROP INDEX executions_execution_end_bin, executions_execution_bin, executions_execution_ended,
    executions_execution_newest;
CREATE INDEX executions_execution_runtime ON executions_execution
    (organization_id, runtime_seconds) WHERE runtime_seconds IS NOT NULL;
CREATE INDEX executions_execution_ended ON executions_execution (organization_id, end_time)
    WHERE status IN ('finished', 'error', 'cancelled');
CREATE INDEX executions_execution_newest ON executions_execution
    (organization_id, start_time DESC, id DESC)
    INCLUDE (status, user_id, agent_name, end_time, waiting_seconds);
ALTER TABLE executions_endedchange
    DROP COLUMN cost, DROP COLUMN runtime_bin, DROP COLUMN last_day, DROP COLUMN start_quarter;
"""


def lock(apps: Any, editor: Any) -> None:
    """Everything that the operations below lock, before one of them does."""
    lock_together(
        editor.connection,
        *("executions_execution", "executions_endedchange"),
        against_writers=("organizations_organization",),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0028_bins_before"),
        ("organizations", "0020_normalized"),
    ]

    operations = [
        migrations.CreateModel(
            name="EndedInTime",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        *("organization_id", "clock", "seconds", "property", "place", "value"),
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "clock",
                    models.CharField(
                        blank=True,
                        help_text=(
                            "`start`, or `last` for the start or the end, whichever was later."
                        ),
                        max_length=8,
                    ),
                ),
                (
                    "seconds",
                    models.IntegerField(help_text="The length of the span; 0 for all time."),
                ),
                (
                    "property",
                    models.CharField(
                        help_text="`status`, `user`, `agent`, `agent_id` or `runtime`.",
                        max_length=8,
                    ),
                ),
                ("place", models.IntegerField(help_text="Spans since 1970.")),
                (
                    "value",
                    models.CharField(
                        blank=True,
                        help_text="The property's, as in EndedCount.",
                        max_length=255,
                    ),
                ),
                ("executions", models.BigIntegerField()),
                ("timed", models.BigIntegerField(help_text="Those with a runtime.")),
                (
                    "elapsed",
                    models.DecimalField(
                        decimal_places=12,
                        help_text="Their seconds, waiting included.",
                        max_digits=40,
                    ),
                ),
                ("failed", models.BigIntegerField()),
                ("cost", models.DecimalField(decimal_places=8, max_digits=40)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="organizations.organization",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        IsolateOrganizations("EndedInTime", has_id=False),
        migrations.RunSQL(KINDS, "DROP STATISTICS executions_endedintime_kinds"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunPython(lock, migrations.RunPython.noop),
                migrations.RunSQL(WITH_TIMES, WITHOUT_TIMES),
            ],
            state_operations=[
                migrations.AddField(
                    "endedchange",
                    "start_quarter",
                    models.IntegerField(
                        null=True,
                        help_text=(
                            "Quarters of an hour since 1970 until the start; null in changes that an "
                            "earlier release wrote."
                        ),
                    ),
                ),
                migrations.AddField(
                    "endedchange",
                    "last_day",
                    models.IntegerField(
                        null=True,
                        help_text="Days since 1970 until the start or the end, whichever was later.",
                    ),
                ),
                migrations.AddField(
                    "endedchange",
                    "runtime_bin",
                    models.SmallIntegerField(null=True, help_text="As the execution's."),
                ),
                migrations.AddField(
                    "endedchange",
                    "cost",
                    models.DecimalField(decimal_places=8, db_default=0, default=0, max_digits=40),
                ),
                migrations.RemoveIndex("execution", "executions_execution_newest"),
                migrations.RemoveIndex("execution", "executions_execution_ended"),
                migrations.RemoveIndex("execution", "executions_execution_runtime"),
                migrations.AddIndex(
                    "execution",
                    models.Index(
                        fields=["organization", "-start_time", "-id"],
                        include=[
                            *("status", "user", "agent_name", "end_time", "waiting_seconds"),
                            "runtime_bin",
                        ],
                        name="executions_execution_newest",
                    ),
                ),
                migrations.AddIndex(
                    "execution",
                    models.Index(
                        fields=["organization", "end_time"],
                        include=["status", "user", "agent_name", "start_time", "runtime_bin"],
                        condition=models.Q(status__in=["finished", "error", "cancelled"]),
                        name="executions_execution_ended",
                    ),
                ),
                migrations.AddIndex(
                    "execution",
                    models.Index(
                        fields=["organization", "runtime_bin", "start_time"],
                        include=["runtime_seconds"],
                        condition=models.Q(runtime_bin__isnull=False),
                        name="executions_execution_bin",
                    ),
                ),
                migrations.AddIndex(
                    "execution",
                    models.Index(
                        fields=["organization", "runtime_bin", "end_time"],
                        include=["runtime_seconds"],
                        condition=models.Q(runtime_bin__isnull=False),
                        name="executions_execution_end_bin",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(PLACE, "DROP FUNCTION executions_place(double precision, integer)"),
        migrations.RunSQL(
            SPANS,
            "DROP FUNCTION executions_spans(text, uuid, uuid, text, integer, integer, smallint)",
        ),
        migrations.RunSQL([ADD_UP, CHANGE, COUNT], [COUNT_BEFORE, CHANGE_BEFORE, ADD_UP_BEFORE]),
    ]
