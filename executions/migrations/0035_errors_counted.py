"""Count errors by group and day, in the transaction that inserts, regroups or deletes them.

Triggers write changes, which are added up now and then into a table whose rows have one property
each, as of ended executions.
"""

from typing import Any

from django.db import migrations

from core.migration_locks import lock_together

SPANS = """
-- What an error counts in, as keys of executions_errorcount: its day (UTC) and all time (0
-- seconds), each for all errors and for the person and the agent of its execution.
CREATE OR REPLACE FUNCTION executions_error_spans(day integer, user_id uuid, agent_name text)
RETURNS TABLE (seconds integer, property text, place integer, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT span.seconds, of.property, span.place, of.value
    FROM (VALUES (0, 0), (86400, day)) AS span (seconds, place)
    CROSS JOIN (VALUES ('all', ''), ('user', user_id::text), ('agent', agent_name))
        AS of (property, value);
$$;
"""
ADD_UP = """
-- Adds up an organization's changes of its errors, but for those that another transaction has not
-- committed yet. Nobody waits: while one adds up, others leave it to that one.
CREATE OR REPLACE FUNCTION executions_add_up_errors(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known executions_errorchange[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('errors of ' || organization, 0)) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM executions_errorchange WHERE organization_id = organization RETURNING *
    )
    SELECT array_agg(gone::executions_errorchange) INTO known FROM gone;
    INSERT INTO executions_errorcount AS counted
        (organization_id, seconds, property, place, fingerprint, value, errors)
    SELECT organization, span.seconds, span.property, span.place, fingerprint, span.value,
        sum(errors)
    FROM unnest(known) CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
    GROUP BY 2, 3, 4, 5, 6
    ON CONFLICT (organization_id, seconds, property, place, fingerprint, value) DO UPDATE SET
        errors = counted.errors + excluded.errors;
    DELETE FROM executions_errorcount AS counted
    USING (
        SELECT DISTINCT span.*, fingerprint FROM unnest(known)
        CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
        WHERE errors < 0
    ) AS changed
    WHERE organization_id = organization AND errors = 0
    AND (counted.seconds, counted.property, counted.place, counted.fingerprint, counted.value)
        = (changed.seconds, changed.property, changed.place, changed.fingerprint, changed.value);
END $$;
"""
COUNT = """
-- Count errors in the transaction that inserts, regroups or deletes them, while their execution is
-- there: once that is deleted, executions_move_errors has counted them out. Triggers
-- executions_count_errors_insert, _update and _delete. Now and then also adds up such changes.
CREATE OR REPLACE FUNCTION executions_count_errors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    due uuid;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO executions_errorchange
            (organization_id, fingerprint, day, user_id, agent_name, errors)
        SELECT gone.organization_id, gone.fingerprint, executions_place(gone.timestamp, 86400),
            coalesce(execution.user_id, '00000000-0000-0000-0000-000000000000'),
            execution.agent_name, -count(*)
        FROM gone JOIN executions_execution execution
            ON execution.organization_id = gone.organization_id
            AND execution.id = gone.execution_id
        GROUP BY 1, 2, 3, 4, 5;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        WITH written AS (
            INSERT INTO executions_errorchange
                (organization_id, fingerprint, day, user_id, agent_name, errors)
            SELECT made.organization_id, made.fingerprint, executions_place(made.timestamp, 86400),
                coalesce(execution.user_id, '00000000-0000-0000-0000-000000000000'),
                execution.agent_name, count(*)
            FROM made JOIN executions_execution execution
                ON execution.organization_id = made.organization_id
                AND execution.id = made.execution_id
            GROUP BY 1, 2, 3, 4, 5
            RETURNING organization_id, number
        )
        SELECT organization_id INTO due FROM written WHERE number % 64 = 0 LIMIT 1;
        IF due IS NOT NULL THEN
            PERFORM executions_add_up_errors(due);
        END IF;
    END IF;
    RETURN NULL;
END $$;
"""
MOVE = """
-- Counts the errors of an execution elsewhere when its person or agent changes, and nowhere when it
-- is deleted: its errors may stay for a while. Triggers executions_move_errors_update and _delete.
CREATE OR REPLACE FUNCTION executions_move_errors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    INSERT INTO executions_errorchange
        (organization_id, fingerprint, day, user_id, agent_name, errors)
    SELECT organization_id, fingerprint, executions_place(timestamp, 86400),
        coalesce(OLD.user_id, nobody), OLD.agent_name, -count(*)
    FROM executions_executionerror
    WHERE organization_id = OLD.organization_id AND execution_id = OLD.id
    GROUP BY 1, 2, 3;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO executions_errorchange
            (organization_id, fingerprint, day, user_id, agent_name, errors)
        SELECT organization_id, fingerprint, executions_place(timestamp, 86400),
            coalesce(NEW.user_id, nobody), NEW.agent_name, count(*)
        FROM executions_executionerror
        WHERE organization_id = NEW.organization_id AND execution_id = NEW.id
        GROUP BY 1, 2, 3;
    END IF;
    RETURN NULL;
END $$;
"""
TRIGGERS = """
CREATE TRIGGER executions_count_errors_insert AFTER INSERT ON executions_executionerror
    REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
CREATE TRIGGER executions_count_errors_update AFTER UPDATE ON executions_executionerror
    REFERENCING OLD TABLE AS gone NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
CREATE TRIGGER executions_count_errors_delete AFTER DELETE ON executions_executionerror
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
CREATE TRIGGER executions_move_errors_update AFTER UPDATE ON executions_execution
    FOR EACH ROW WHEN (OLD.user_id IS DISTINCT FROM NEW.user_id
                       OR OLD.agent_name <> NEW.agent_name)
    EXECUTE FUNCTION executions_move_errors();
CREATE TRIGGER executions_move_errors_delete AFTER DELETE ON executions_execution
    FOR EACH ROW EXECUTE FUNCTION executions_move_errors();
"""
UNDONE = """
DROP TRIGGER executions_count_errors_insert ON executions_executionerror;
DROP TRIGGER executions_count_errors_update ON executions_executionerror;
DROP TRIGGER executions_count_errors_delete ON executions_executionerror;
DROP TRIGGER executions_move_errors_update ON executions_execution;
DROP TRIGGER executions_move_errors_delete ON executions_execution;
DROP FUNCTION executions_move_errors();
DROP FUNCTION executions_count_errors();
DROP FUNCTION executions_add_up_errors(uuid);
DROP FUNCTION executions_error_spans(integer, uuid, text);
"""


def lock(apps: Any, editor: Any) -> None:
    """Both tables that get triggers, before one of them does."""
    tables = ("executions_execution", "executions_executionerror")
    lock_together(editor.connection, against_writers=tables)


class Migration(migrations.Migration):
    dependencies = [("executions", "0034_error_groups")]

    operations = [
        migrations.RunPython(lock, migrations.RunPython.noop),
        migrations.RunSQL([SPANS, ADD_UP, COUNT, MOVE, TRIGGERS], UNDONE),
    ]
