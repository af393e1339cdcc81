-- A statement that inserts events of executions changes what their organization stores.
CREATE OR REPLACE TRIGGER executions_executionevent_stored_insert
    AFTER INSERT ON executions_executionevent
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION executions_executionevent_stored_insert();
