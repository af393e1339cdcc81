-- Count errors in the transaction that inserts, regroups or deletes them, while their execution is
-- there: once that is deleted, executions_move_errors has counted them out. Triggers
-- executions_count_errors_insert, _update and _delete. Now and then also adds up such changes.
CREATE OR REPLACE FUNCTION executions_count_errors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    due uuid;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO executions_errorchange
            (organization_id, fingerprint, day, user_id, agent_name, errors)
        SELECT gone.organization_id, gone.fingerprint, executions_place(gone.timestamp, 86400),
            coalesce(execution.user_id, '00000000-0000-0000-0000-000000000000'),
            execution.agent_name, -count(*)
        FROM gone JOIN executions_execution execution
            ON execution.organization_id = gone.organization_id
            AND execution.id = gone.execution_id
        GROUP BY 1, 2, 3, 4, 5;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        WITH written AS (
            INSERT INTO executions_errorchange
                (organization_id, fingerprint, day, user_id, agent_name, errors)
            SELECT made.organization_id, made.fingerprint, executions_place(made.timestamp, 86400),
                coalesce(execution.user_id, '00000000-0000-0000-0000-000000000000'),
                execution.agent_name, count(*)
            FROM made JOIN executions_execution execution
                ON execution.organization_id = made.organization_id
                AND execution.id = made.execution_id
            GROUP BY 1, 2, 3, 4, 5
            RETURNING organization_id, number
        )
        SELECT organization_id INTO due FROM written WHERE number % 64 = 0 LIMIT 1;
        IF due IS NOT NULL THEN
            PERFORM executions_add_up_errors(due);
        END IF;
    END IF;
    RETURN NULL;
END $$;
