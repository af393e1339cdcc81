-- A statement that deletes executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_execution_stored_delete
    AFTER DELETE ON executions_execution
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_delete();
