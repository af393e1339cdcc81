-- Which executions lost their worker: those of all organizations whose lease has lapsed, the oldest
-- first, at most `most` of each organization.
CREATE OR REPLACE FUNCTION executions_lapsed_leases(most integer)
RETURNS TABLE (organization_id uuid, execution_id uuid)
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    organization record;
BEGIN
    FOR organization IN SELECT o.id FROM organizations_organization o LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        RETURN QUERY
            SELECT e.organization_id, e.id FROM executions_execution e
            WHERE e.organization_id = organization.id AND e.lease_expires_at < clock_timestamp()
            ORDER BY e.lease_expires_at LIMIT most;
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$;
