-- A statement that deletes files of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionfile_stored_delete
    AFTER DELETE ON executions_executionfile
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_delete();
