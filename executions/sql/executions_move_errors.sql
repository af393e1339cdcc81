-- Counts the errors of an execution elsewhere when its person or agent changes, and nowhere when it
-- is deleted: its errors may stay for a while. Triggers executions_move_errors_update and _delete.
CREATE OR REPLACE FUNCTION executions_move_errors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    INSERT INTO executions_errorchange
        (organization_id, fingerprint, day, user_id, agent_name, errors)
    SELECT organization_id, fingerprint, executions_place(timestamp, 86400),
        coalesce(OLD.user_id, nobody), OLD.agent_name, -count(*)
    FROM executions_executionerror
    WHERE organization_id = OLD.organization_id AND execution_id = OLD.id
    GROUP BY 1, 2, 3;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO executions_errorchange
            (organization_id, fingerprint, day, user_id, agent_name, errors)
        SELECT organization_id, fingerprint, executions_place(timestamp, 86400),
            coalesce(NEW.user_id, nobody), NEW.agent_name, count(*)
        FROM executions_executionerror
        WHERE organization_id = NEW.organization_id AND execution_id = NEW.id
        GROUP BY 1, 2, 3;
    END IF;
    RETURN NULL;
END $$;
