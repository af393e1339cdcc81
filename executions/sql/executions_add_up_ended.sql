-- Adds up an organization's changes of its ended executions, but for those that another transaction
-- has not committed yet. Nobody waits: while one adds up, others leave it to that one. Nor is
-- anybody long: of many changes, as of a large deletion, it adds up the oldest.
CREATE OR REPLACE FUNCTION executions_add_up_ended(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known executions_endedchange[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ended executions of ' || organization, 0))
    THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM executions_endedchange WHERE organization_id = organization AND number IN (
            SELECT number FROM executions_endedchange WHERE organization_id = organization
            ORDER BY number LIMIT 4096
        )
        RETURNING *
    )
    SELECT array_agg(gone::executions_endedchange) INTO known FROM gone;
    INSERT INTO executions_endedcount AS counted
        (organization_id, status, user_id, agent_id, agent_name, executions, timed, elapsed)
    SELECT organization, status, user_id, agent_id, agent_name,
        sum(executions), sum(timed), sum(elapsed)
    FROM unnest(known) GROUP BY 2, 3, 4, 5
    ON CONFLICT (organization_id, status, user_id, agent_id, agent_name) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed;
    INSERT INTO executions_endedintime AS counted
        (organization_id, clock, seconds, property, place, value,
        executions, timed, elapsed, failed, cost)
    SELECT organization, span.*, sum(executions), sum(timed), sum(elapsed),
        coalesce(sum(executions) FILTER (WHERE status = 'error'), 0), sum(cost)
    FROM unnest(known) CROSS JOIN LATERAL executions_spans(
        status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin
    ) AS span
    GROUP BY span.clock, span.seconds, span.property, span.place, span.value
    ON CONFLICT (organization_id, clock, seconds, property, place, value) DO UPDATE SET
        executions = counted.executions + excluded.executions,
        timed = counted.timed + excluded.timed,
        elapsed = counted.elapsed + excluded.elapsed,
        failed = counted.failed + excluded.failed,
        cost = counted.cost + excluded.cost;
    IF EXISTS (SELECT FROM unnest(known) WHERE executions <= 0) THEN
        DELETE FROM executions_endedcount
        WHERE organization_id = organization AND executions = 0 AND timed = 0 AND elapsed = 0;
        DELETE FROM executions_endedintime AS counted
        USING (
            SELECT DISTINCT span.* FROM unnest(known) CROSS JOIN LATERAL executions_spans(
                status, user_id, agent_id, agent_name, start_quarter, last_day, runtime_bin
            ) AS span
        ) AS changed
        WHERE organization_id = organization
        AND (counted.clock, counted.seconds, counted.property, counted.place, counted.value)
            = (changed.clock, changed.seconds, changed.property, changed.place, changed.value)
        AND (executions, timed, elapsed, failed, cost) = (0, 0, 0, 0, 0);
    END IF;
END $$;
