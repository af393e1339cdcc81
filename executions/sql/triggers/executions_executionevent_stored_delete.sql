-- A statement that deletes events of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionevent_stored_delete
    AFTER DELETE ON executions_executionevent
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_delete();
