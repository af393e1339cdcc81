-- The runtime of an execution that has ended, for percentiles, and the bin that it is counted in.
-- Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_keep_runtime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runtime_seconds := CASE
        WHEN NEW.status IN ('finished', 'error', 'cancelled') AND NEW.end_time > NEW.start_time
        THEN NEW.end_time - NEW.start_time - NEW.waiting_seconds
    END;
    NEW.runtime_bin := executions_runtime_bin(NEW.runtime_seconds);
    RETURN NEW;
END $$;
