-- Errors that a statement regroups are counted in their new group.
CREATE OR REPLACE TRIGGER executions_count_errors_update
    AFTER UPDATE ON executions_executionerror
    REFERENCING OLD TABLE AS gone NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
