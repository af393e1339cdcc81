-- Count executions that have ended, in the transaction that ends, changes or deletes them. Triggers
-- executions_count_ended_insert, _update and _delete, which fire only for those that have ended.
CREATE OR REPLACE FUNCTION executions_count_ended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends constant text[] := ARRAY['finished', 'error', 'cancelled'];
BEGIN
    IF TG_OP = 'UPDATE'
        AND (NEW.status, NEW.user_id, NEW.agent_id, NEW.agent_name, NEW.start_time, NEW.end_time,
            NEW.runtime_bin, NEW.cost)
        IS NOT DISTINCT FROM
        (OLD.status, OLD.user_id, OLD.agent_id, OLD.agent_name, OLD.start_time, OLD.end_time,
            OLD.runtime_bin, OLD.cost)
    THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.status = ANY (ends) THEN
        PERFORM executions_change_ended(OLD, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.status = ANY (ends) THEN
        PERFORM executions_change_ended(NEW, 1);
    END IF;
    RETURN NULL;
END $$;
