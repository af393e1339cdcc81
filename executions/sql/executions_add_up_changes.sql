-- Add up an organization's changes of what it stores into one row, but for those that another
-- transaction holds.
CREATE OR REPLACE FUNCTION executions_add_up_changes(organization uuid) RETURNS void
LANGUAGE sql AS $$
    WITH known AS (
        DELETE FROM executions_storedchange WHERE number IN (
            SELECT change.number FROM executions_storedchange change
            WHERE change.organization_id = organization ORDER BY number FOR UPDATE SKIP LOCKED
        )
        RETURNING executions, event_bytes, file_bytes
    )
    INSERT INTO executions_storedchange (organization_id, executions, event_bytes, file_bytes)
    SELECT organization, sum(executions), sum(event_bytes), sum(file_bytes)
    FROM known HAVING count(*) > 0
$$;
