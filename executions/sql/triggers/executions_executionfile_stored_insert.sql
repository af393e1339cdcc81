-- A statement that inserts files of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionfile_stored_insert
    AFTER INSERT ON executions_executionfile
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionfile_stored_insert();
