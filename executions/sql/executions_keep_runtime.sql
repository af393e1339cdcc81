-- The runtime of an execution that has ended: from its first event to its last without the time in
-- which an answer was awaited. Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_keep_runtime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runtime_seconds := CASE
        WHEN NEW.status IN ('finished', 'error', 'cancelled') AND NEW.end_time > NEW.start_time
        THEN NEW.end_time - NEW.start_time - NEW.waiting_seconds
    END;
    RETURN NEW;
END $$;
