-- Since when token events are kept if those of so many whole months before this one are: the
-- beginning of the oldest partition with such events. NULL if no partition is older.
CREATE OR REPLACE FUNCTION tokens_events_kept_since(months integer) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT nullif(min(p.since), '-infinity') FROM organizations_partitions('tokens_tokenevent') p
    WHERE p.before > (
        date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') - months * interval '1 month'
    ) AT TIME ZONE 'UTC'
$$;
