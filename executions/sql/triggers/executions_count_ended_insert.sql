-- An execution that is inserted as ended is counted at once.
CREATE OR REPLACE TRIGGER executions_count_ended_insert
    AFTER INSERT ON executions_execution
    FOR EACH ROW
    WHEN (NEW.status = ANY (ARRAY['finished', 'error', 'cancelled']))
    EXECUTE FUNCTION executions_count_ended();
