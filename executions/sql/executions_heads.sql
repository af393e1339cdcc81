-- How far the watched executions have come, of all organizations, in one call. `executions[n]`
-- belongs to `organizations[n]`; one that does not exist has no row in the answer.
CREATE OR REPLACE FUNCTION executions_heads(organizations uuid[], executions uuid[])
RETURNS TABLE (id uuid, organization_id uuid, last_sequence integer, status varchar)
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    watched record;
BEGIN
    FOR watched IN
        SELECT w.organization, array_agg(w.execution) AS executions
        FROM unnest(organizations, executions) AS w(organization, execution)
        GROUP BY w.organization
    LOOP
        PERFORM set_config('app.organization_id', watched.organization::text, true);
        RETURN QUERY
            SELECT e.id, e.organization_id, e.last_sequence, e.status
            FROM executions_execution e
            WHERE e.organization_id = watched.organization AND e.id = ANY (watched.executions);
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$;
