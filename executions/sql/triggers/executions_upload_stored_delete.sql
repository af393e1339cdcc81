-- A statement that deletes files under way changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_upload_stored_delete
    AFTER DELETE ON executions_upload
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_delete();
