-- How much a statement that changes events of executions changes `event_bytes`, which their
-- organization stores. Each counts the bytes of its message and 128 more, an error 2048
-- more. Trigger of the same name.
CREATE OR REPLACE FUNCTION executions_executionevent_stored_update() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    change record;
BEGIN
    FOR change IN
        INSERT INTO executions_storedchange (organization_id, event_bytes)
        SELECT organization_id, sum(more)
        FROM (
            SELECT organization_id, sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM added GROUP BY 1
            UNION ALL
            SELECT organization_id, -sum(
                octet_length(message) + CASE kind WHEN 'error' THEN 2048 ELSE 128 END
            ) AS more FROM removed GROUP BY 1
        ) AS changed
        GROUP BY 1 HAVING sum(more) <> 0 RETURNING number, organization_id
    LOOP
        IF change.number % 64 = 0 THEN
            PERFORM executions_add_up_changes(change.organization_id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
