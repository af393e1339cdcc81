-- What runs in all organizations together, for the operator's metrics: rows to add up.
CREATE OR REPLACE FUNCTION executions_totals()
RETURNS TABLE (queued bigint, starting bigint, running bigint, awaiting bigint,
               held_leases bigint, lapsed_leases bigint)
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    organization record;
BEGIN
    FOR organization IN SELECT o.id FROM organizations_organization o LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        RETURN QUERY
            SELECT count(*) FILTER (WHERE e.status = 'queued'),
                   count(*) FILTER (WHERE e.status = 'starting'),
                   count(*) FILTER (WHERE e.status = 'running'),
                   count(*) FILTER (WHERE e.status = 'awaiting'), 0::bigint, 0::bigint
            FROM executions_execution e
            WHERE e.organization_id = organization.id
            AND e.status IN ('queued', 'starting', 'running', 'awaiting')
            UNION ALL
            SELECT 0, 0, 0, 0,
                   count(*) FILTER (WHERE e.lease_expires_at >= clock_timestamp()),
                   count(*) FILTER (WHERE e.lease_expires_at < clock_timestamp())
            FROM executions_execution e
            WHERE e.organization_id = organization.id AND e.lease_expires_at IS NOT NULL;
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$;
