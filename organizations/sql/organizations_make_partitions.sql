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
