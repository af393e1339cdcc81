-- A statement that updates files under way changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_upload_stored_update
    AFTER UPDATE ON executions_upload
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_upload_stored_update();
