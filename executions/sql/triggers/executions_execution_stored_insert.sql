-- A statement that inserts executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_execution_stored_insert
    AFTER INSERT ON executions_execution
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_execution_stored_insert();
