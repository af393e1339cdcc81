-- A statement that updates files of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionfile_stored_update
    AFTER UPDATE ON executions_executionfile
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_update();
