-- Adds up an organization's changes of its ended executions, but for those that another transaction
-- has not committed yet. Nobody waits: while one adds up, others leave it to that one.
CREATE OR REPLACE FUNCTION executions_add_up_ended(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ended executions of ' || organization, 0))
    THEN
        RETURN;
    END IF;
    WITH known AS (
        DELETE FROM executions_endedchange WHERE organization_id = organization RETURNING *
    )
    INSERT INTO executions_endedcount AS counted
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    SELECT organization, status, user_id, agent_id, agent_name,
        sum(executions), sum(timed), sum(elapsed)
    FROM known GROUP BY 2, 3, 4, 5
    ON CONFLICT (organization_id, status, user_id, agent_id, agent_name) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed;
    DELETE FROM executions_endedcount
    WHERE organization_id = organization AND executions = 0 AND timed = 0 AND elapsed = 0;
END $$;
