"""The worker may drop empty partitions of executions' events."""

from django.db import migrations

DROP_ONE = """
-- Drops one partition of events whose executions were made in a month that has been over for a
-- month, if none of its rows is left, and returns its name, or NULL if there is none. Runs as the
-- owner, for the worker: it takes no arguments, so it can drop nothing else. If a lock is not free
-- soon, it fails, before anybody else does by a deadlock.
CREATE OR REPLACE FUNCTION executions_drop_partition() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '500ms' AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    old record;
    has_rows boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('partitions of executions_executionevent', 0));
    FOR old IN
        SELECT p.partition, c.relname FROM organizations_partitions('executions_executionevent') p
        JOIN pg_class c ON c.oid = p.partition
        WHERE p.before <= (this_month - interval '1 month') AT TIME ZONE 'UTC'
          -- What VACUUM found last, so that only those that may be empty are locked.
          AND c.reltuples <= 0
        ORDER BY p.before
    LOOP
        -- The owner sees its rows, of all organizations, while nobody else sees the partition.
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', old.partition);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', old.partition) INTO has_rows;
        IF NOT has_rows THEN
            EXECUTE format('DROP TABLE %s', old.partition);
            RETURN old.relname;
        END IF;
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', old.partition);
    END LOOP;
    RETURN NULL;
END $$;
"""
UNDONE = """
DROP FUNCTION executions_drop_partition();
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0031_partitions")]

    operations = [migrations.RunSQL(DROP_ONE, UNDONE)]
