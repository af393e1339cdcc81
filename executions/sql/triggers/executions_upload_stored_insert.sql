-- A statement that inserts files under way changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_upload_stored_insert
    AFTER INSERT ON executions_upload
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_insert();
