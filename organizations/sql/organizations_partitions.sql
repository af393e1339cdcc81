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
            substring(shown FROM ' FROM \(''?([^'')]+)'), substring(shown FROM ' TO \(''?([^'')]+)')
        ]) WITH ORDINALITY AS each (bound, place)
    ) AS found (bounds)
    WHERE i.inhparent = parent AND c.relispartition
$$;
