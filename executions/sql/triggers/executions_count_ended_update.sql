-- An execution is counted when it ends, and counted anew when it changes afterwards.
CREATE OR REPLACE TRIGGER executions_count_ended_update
    AFTER UPDATE ON executions_execution
    FOR EACH ROW
    WHEN (OLD.status = ANY (ARRAY['finished', 'error', 'cancelled'])
        OR NEW.status = ANY (ARRAY['finished', 'error', 'cancelled']))
    EXECUTE FUNCTION executions_count_ended();
