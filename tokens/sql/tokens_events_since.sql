-- Since when all token events are there: older ones are dropped.
CREATE OR REPLACE FUNCTION tokens_events_since() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(min(since), '-infinity') FROM organizations_partitions('tokens_tokenevent')
$$;
