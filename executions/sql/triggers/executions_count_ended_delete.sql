-- An execution that had ended is counted no more once it is deleted.
CREATE OR REPLACE TRIGGER executions_count_ended_delete
    AFTER DELETE ON executions_execution
    FOR EACH ROW
    WHEN (OLD.status = ANY (ARRAY['finished', 'error', 'cancelled']))
    EXECUTE FUNCTION executions_count_ended();
