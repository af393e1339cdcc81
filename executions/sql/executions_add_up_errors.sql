-- Adds up an organization's changes of its errors, but for those that another transaction has not
-- committed yet. Nobody waits: while one adds up, others leave it to that one. Nor is
-- anybody long: of many changes, as of a large deletion, it adds up the oldest.
CREATE OR REPLACE FUNCTION executions_add_up_errors(organization uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known executions_errorchange[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('errors of ' || organization, 0)) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM executions_errorchange WHERE organization_id = organization AND number IN (
            SELECT number FROM executions_errorchange WHERE organization_id = organization
            ORDER BY number LIMIT 4096
        )
        RETURNING *
    )
    SELECT array_agg(gone::executions_errorchange) INTO known FROM gone;
    INSERT INTO executions_errorcount AS counted
        (organization_id, seconds, property, place, fingerprint, value, errors)
    SELECT organization, span.seconds, span.property, span.place, fingerprint, span.value,
        sum(errors)
    FROM unnest(known) CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
    GROUP BY 2, 3, 4, 5, 6
    ON CONFLICT (organization_id, seconds, property, place, fingerprint, value) DO UPDATE SET
        errors = counted.errors + excluded.errors;
    DELETE FROM executions_errorcount AS counted
    USING (
        SELECT DISTINCT span.*, fingerprint FROM unnest(known)
        CROSS JOIN LATERAL executions_error_spans(day, user_id, agent_name) AS span
        WHERE errors < 0
    ) AS changed
    WHERE organization_id = organization AND errors = 0
    AND (counted.seconds, counted.property, counted.place, counted.fingerprint, counted.value)
        = (changed.seconds, changed.property, changed.place, changed.fingerprint, changed.value);
END $$;
