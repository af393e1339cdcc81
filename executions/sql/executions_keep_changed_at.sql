-- When, and in which transaction, an execution last said something: at a new event, status or meta,
-- and at nothing else. Trigger executions_changed_at.
CREATE OR REPLACE FUNCTION executions_keep_changed_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_sequence IS DISTINCT FROM OLD.last_sequence
        OR NEW.status IS DISTINCT FROM OLD.status
        OR NEW.meta IS DISTINCT FROM OLD.meta
    THEN
        NEW.changed_at := clock_timestamp();
        NEW.position := pg_current_xact_id()::text::bigint;
    ELSE
        NEW.changed_at := OLD.changed_at;
        NEW.position := OLD.position;
    END IF;
    RETURN NEW;
END
$$;
