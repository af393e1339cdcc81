"""Partitions by month: what they are, where one is missing, and how the worker gets new ones."""

from django.db import migrations

FIRST_ID = """
-- The smallest id that begins with this time (RFC 9562, version 7; core/ids.py).
CREATE OR REPLACE FUNCTION organizations_first_id(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;
"""
PARTITIONS = """
-- The partitions of a table that is partitioned by a time, or by ids that begin with their time:
-- from when on, and before when, their rows are. The default partition, for what no other takes,
-- has neither.
CREATE OR REPLACE FUNCTION organizations_partitions(
    parent regclass, OUT partition regclass, OUT since timestamptz, OUT before timestamptz
) RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
    SELECT c.oid::regclass, bounds[1], bounds[2]
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid,
    LATERAL pg_get_expr(c.relpartbound, c.oid) AS shown,
    LATERAL (
        SELECT array_agg(CASE
            WHEN bound = 'MINVALUE' THEN '-infinity'
            WHEN bound ~ '^[0-9a-f]{8}-' THEN to_timestamp(
                ('x' || lpad(left(replace(bound, '-', ''), 12), 16, '0'))::bit(64)::bigint
                / 1000.0
            )
            ELSE bound::timestamptz
        END ORDER BY place)
        FROM unnest(ARRAY[
            substring(shown FROM ' FROM \\(''?([^'')]+)'), substring(shown FROM ' TO \\(''?([^'')]+)')
        ]) WITH ORDINALITY AS each (bound, place)
    ) AS found (bounds)
    WHERE i.inhparent = parent AND c.relispartition
$$;
"""
MAKE_ONE = """
-- Makes the partition of one month (UTC), and returns its name, or NULL if the month has one. Rows
-- of this month that the default partition took move into it. Only the owner can do it, directly or
-- through organizations_make_partitions.
CREATE OR REPLACE FUNCTION organizations_make_partition(parent regclass, month date)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET timezone = 'UTC' AS $$
DECLARE
    own CONSTANT text :=
        'organization_id = NULLIF(current_setting(''app.organization_id'', true), '''')::uuid';
    first_moment CONSTANT timestamptz := month;
    end_moment CONSTANT timestamptz := month + interval '1 month';
    first_bound text := first_moment;
    end_bound text := end_moment;
    spare regclass;
    room text;
    made text;
    key text;
    type_of_key regtype;
    grantee oid;
BEGIN
    IF month <> date_trunc('month', month) THEN
        RAISE EXCEPTION 'A month begins on its first day, not on %.', month;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('partitions of ' || parent, 0));
    IF EXISTS (SELECT FROM organizations_partitions(parent) p
               WHERE p.since < end_moment AND p.before > first_moment) THEN
        RETURN NULL;
    END IF;
    SELECT p.partition INTO STRICT spare FROM organizations_partitions(parent) p
    WHERE p.before IS NULL;
    SELECT nspname, relname || to_char(month, '_YYYY_MM') INTO room, made
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = parent;
    SELECT attname, atttypid INTO STRICT key, type_of_key
    FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
    WHERE partrelid = parent;
    IF type_of_key = 'uuid'::regtype THEN
        first_bound := organizations_first_id(first_moment);
        end_bound := organizations_first_id(end_moment);
    END IF;
    EXECUTE format(
        'CREATE TABLE %I.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        room, made, parent
    );
    -- Its rows are read and written through the parent.
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_class, aclexplode(relacl) acl
        WHERE pg_class.oid = format('%I.%I', room, made)::regclass AND acl.grantee <> relowner
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %I.%I FROM %s', room, made,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        );
    END LOOP;
    -- ATTACH PARTITION locks the default partition as well, and looks for such rows there. Written
    -- to a partition, they fire no trigger of the parent: they are counted.
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', spare);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %s WHERE %I >= %L AND %I < %L RETURNING *) '
        'INSERT INTO %I.%I SELECT * FROM moved',
        spare, key, first_bound, key, end_bound, room, made
    );
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', spare);
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', room, made);
    EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', room, made);
    EXECUTE format(
        'CREATE POLICY organization_isolation ON %I.%I USING (%s) WITH CHECK (%s)',
        room, made, own, own
    );
    EXECUTE format(
        'ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
        parent, room, made, first_bound, end_bound
    );
    RETURN made;
END $$;
"""
MAKE_NEXT = """
-- Makes the partitions of this month and of the next three, for every table that is partitioned by
-- month, and returns their names. Runs as the owner, for the worker: it takes no arguments, so it
-- can make nothing else. Each one locks writers of the tables that it references out for
-- milliseconds; if a lock is not free soon, it fails, before anybody else does by a deadlock.
CREATE OR REPLACE FUNCTION organizations_make_partitions() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '500ms' AS $$
DECLARE
    this_month CONSTANT date := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
BEGIN
    RETURN QUERY
    SELECT made FROM (
        SELECT organizations_make_partition(
            partrelid, (this_month + ahead * interval '1 month')::date
        ) AS made
        FROM pg_partitioned_table JOIN pg_class c ON c.oid = partrelid,
            generate_series(0, 3) ahead
        WHERE relnamespace = 'public'::regnamespace AND partdefid <> 0
        ORDER BY relname, ahead
    ) partitions WHERE made IS NOT NULL;
END $$;
"""
MISSING = """
-- This month and the next, where a table that is partitioned by month has no partition for it: such
-- rows go to the default partition, from which they must be moved.
CREATE OR REPLACE FUNCTION organizations_months_without_partition(
    OUT partitioned regclass, OUT month date
) RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.partrelid::regclass, m.month::date
    FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid
    CROSS JOIN LATERAL (
        SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + ahead AS month
        FROM unnest(ARRAY[interval '0', interval '1 month']) ahead
    ) m
    WHERE c.relnamespace = 'public'::regnamespace AND t.partdefid <> 0 AND NOT EXISTS (
        SELECT FROM organizations_partitions(t.partrelid) p
        WHERE p.since <= m.month AT TIME ZONE 'UTC' AND p.before > m.month AT TIME ZONE 'UTC'
    )
    ORDER BY c.relname, m.month
$$;
"""
UNDONE = """
DROP FUNCTION organizations_months_without_partition();
DROP FUNCTION organizations_make_partitions();
DROP FUNCTION organizations_make_partition(regclass, date);
DROP FUNCTION organizations_partitions(regclass);
DROP FUNCTION organizations_first_id(timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0021_token_generation")]

    operations = [
        migrations.RunSQL(FIRST_ID + PARTITIONS + MAKE_ONE + MAKE_NEXT + MISSING, UNDONE),
    ]
