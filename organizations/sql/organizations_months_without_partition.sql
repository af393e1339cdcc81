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
