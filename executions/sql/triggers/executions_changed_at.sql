-- Each update of an execution keeps when it last said something.
CREATE OR REPLACE TRIGGER executions_changed_at
    BEFORE UPDATE ON executions_execution
    FOR EACH ROW EXECUTE FUNCTION executions_keep_changed_at();
