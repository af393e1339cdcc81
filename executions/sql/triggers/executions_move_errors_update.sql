-- The errors of an execution are counted for its new person or agent when that changes.
CREATE OR REPLACE TRIGGER executions_move_errors_update
    AFTER UPDATE ON executions_execution
    FOR EACH ROW
    WHEN (OLD.user_id IS DISTINCT FROM NEW.user_id
        OR OLD.agent_name <> NEW.agent_name)
    EXECUTE FUNCTION executions_move_errors();
