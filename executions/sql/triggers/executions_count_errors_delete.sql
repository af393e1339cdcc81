-- Errors that a statement deletes are counted no more.
CREATE OR REPLACE TRIGGER executions_count_errors_delete
    AFTER DELETE ON executions_executionerror
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
