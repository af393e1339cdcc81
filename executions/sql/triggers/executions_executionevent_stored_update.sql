-- A statement that updates events of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionevent_stored_update
    AFTER UPDATE ON executions_executionevent
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_update();
