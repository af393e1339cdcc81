-- Drops the oldest partition of token events if all of them are older than so many whole months
-- before this one, and returns its name, or NULL if none is. At least one whole month is kept. Runs
-- as the owner, for the worker. If a lock is not free soon, it fails, before anybody else does by a
-- deadlock.
CREATE OR REPLACE FUNCTION tokens_drop_partition(months integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '500ms' AS $$
DECLARE
    old record;
BEGIN
    IF months IS NULL OR months < 1 THEN
        RAISE EXCEPTION 'Token events of at least one whole month are kept.';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('partitions of tokens_tokenevent', 0));
    SELECT p.partition, c.relname INTO old FROM organizations_partitions('tokens_tokenevent') p
    JOIN pg_class c ON c.oid = p.partition
    WHERE p.before <= tokens_events_kept_since(months)
    ORDER BY p.before LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %s', old.partition);
    RETURN old.relname;
END $$;
