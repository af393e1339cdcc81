-- The errors of an execution that is deleted are counted no more.
CREATE OR REPLACE TRIGGER executions_move_errors_delete
    AFTER DELETE ON executions_execution
    FOR EACH ROW EXECUTE FUNCTION executions_move_errors();
