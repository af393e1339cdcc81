-- Errors that a statement inserts are counted.
CREATE OR REPLACE TRIGGER executions_count_errors_insert
    AFTER INSERT ON executions_executionerror
    REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION executions_count_errors();
