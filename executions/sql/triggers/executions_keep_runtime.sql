-- An execution that ends gets its runtime, and loses it if it goes on.
CREATE OR REPLACE TRIGGER executions_keep_runtime
    BEFORE INSERT OR UPDATE ON executions_execution
    FOR EACH ROW
    WHEN (NEW.status = ANY (ARRAY['finished', 'error', 'cancelled'])
        OR NEW.runtime_seconds IS NOT NULL)
    EXECUTE FUNCTION executions_keep_runtime();
