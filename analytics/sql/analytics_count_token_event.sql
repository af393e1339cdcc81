-- Count so many requests like a token event: in its hour, quarter of an hour, agent's day and
-- agent's month. The row locks are taken in the order of analytics_count_token_events.
CREATE OR REPLACE FUNCTION analytics_count_token_event(event tokens_tokenevent, times integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_hourusage AS known
        (organization_id, hour,
        issued, refused, introspected, revoked)
    SELECT event.organization_id, floor(date_part('epoch', event.created_at) / 3600)::integer,
        CASE event.outcome WHEN 'issued' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'refused' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'introspected' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'revoked' THEN times ELSE 0 END
    ON CONFLICT (organization_id, hour) DO UPDATE SET
        issued = known.issued + excluded.issued,
        refused = known.refused + excluded.refused,
        introspected = known.introspected + excluded.introspected,
        revoked = known.revoked + excluded.revoked;
    INSERT INTO analytics_quarterusage AS known
        (organization_id, quarter,
        issued, refused, introspected, revoked)
    SELECT event.organization_id, floor(date_part('epoch', event.created_at) / 900)::integer,
        CASE event.outcome WHEN 'issued' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'refused' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'introspected' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'revoked' THEN times ELSE 0 END
    ON CONFLICT (organization_id, quarter) DO UPDATE SET
        issued = known.issued + excluded.issued,
        refused = known.refused + excluded.refused,
        introspected = known.introspected + excluded.introspected,
        revoked = known.revoked + excluded.revoked;
    INSERT INTO analytics_agentdayusage AS known
        (organization_id, day, agent_id, credential_id,
        issued, refused, introspected, revoked, last_at)
    SELECT event.organization_id, (event.created_at AT TIME ZONE 'UTC')::date,
        coalesce(event.agent_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(event.credential_id, '00000000-0000-0000-0000-000000000000'),
        CASE event.outcome WHEN 'issued' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'refused' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'introspected' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'revoked' THEN times ELSE 0 END, event.created_at
    ON CONFLICT (organization_id, day, agent_id, credential_id) DO UPDATE SET
        issued = known.issued + excluded.issued,
        refused = known.refused + excluded.refused,
        introspected = known.introspected + excluded.introspected,
        revoked = known.revoked + excluded.revoked,
        last_at = greatest(known.last_at, excluded.last_at);
    INSERT INTO analytics_agentmonthusage AS known
        (organization_id, month, agent_id,
        issued, refused, introspected, revoked, last_at)
    SELECT event.organization_id, date_trunc('month', event.created_at AT TIME ZONE 'UTC')::date,
        coalesce(event.agent_id, '00000000-0000-0000-0000-000000000000'),
        CASE event.outcome WHEN 'issued' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'refused' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'introspected' THEN times ELSE 0 END,
        CASE event.outcome WHEN 'revoked' THEN times ELSE 0 END, event.created_at
    ON CONFLICT (organization_id, month, agent_id) DO UPDATE SET
        issued = known.issued + excluded.issued,
        refused = known.refused + excluded.refused,
        introspected = known.introspected + excluded.introspected,
        revoked = known.revoked + excluded.revoked,
        last_at = greatest(known.last_at, excluded.last_at);
END $$;
