-- Records that an ended execution is to be counted once more, or once less: by the columns of
-- executions_endedcount and those that executions_spans needs. Now and then also adds up such
-- changes.
CREATE OR REPLACE FUNCTION executions_change_ended(ended executions_execution, times integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_timed boolean := coalesce(ended.end_time > ended.start_time, false);
    written bigint;
BEGIN
    INSERT INTO executions_endedchange
        (organization_id, status, user_id, agent_id, agent_name, start_quarter, last_day,
        runtime_bin, executions, timed, elapsed, cost)
    VALUES (
        ended.organization_id, ended.status,
        coalesce(ended.user_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(ended.agent_id, '00000000-0000-0000-0000-000000000000'), ended.agent_name,
        executions_place(ended.start_time, 900),
        executions_place(greatest(ended.start_time, ended.end_time), 86400),
        ended.runtime_bin, times, times * is_timed::integer,
        CASE WHEN is_timed
            THEN times * round((ended.end_time - ended.start_time)::numeric, 12) ELSE 0 END,
        times * coalesce(ended.cost, 0)
    )
    RETURNING number INTO written;
    IF written % 64 = 0 THEN
        PERFORM executions_add_up_ended(ended.organization_id);
    END IF;
END $$;
