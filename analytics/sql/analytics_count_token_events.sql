-- What each token event counts in: hour, quarter of an hour, agent's day and agent's month, in the
-- transaction that inserts it. A single event takes the short way without grouping. All take row
-- locks in the same order, so that batches cannot deadlock. Trigger of the same name.
CREATE OR REPLACE FUNCTION analytics_count_token_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    single tokens_tokenevent;
BEGIN
    SELECT * INTO single FROM batch LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF (SELECT count(*) FROM batch) = 1 THEN
        PERFORM analytics_count_token_event(single, single.times);
    ELSE
        INSERT INTO analytics_hourusage AS known
            (organization_id, hour, issued, refused, introspected, revoked)
        SELECT batch.organization_id,
            floor(date_part('epoch', batch.created_at) / 3600)::integer,
            coalesce(sum(times) FILTER (WHERE outcome = 'issued'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'refused'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'introspected'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'revoked'), 0)
        FROM batch GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (organization_id, hour) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_quarterusage AS known
            (organization_id, quarter, issued, refused, introspected, revoked)
        SELECT batch.organization_id, floor(date_part('epoch', batch.created_at) / 900)::integer,
            coalesce(sum(times) FILTER (WHERE outcome = 'issued'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'refused'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'introspected'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'revoked'), 0)
        FROM batch GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (organization_id, quarter) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_agentdayusage AS known
            (organization_id, day, agent_id, credential_id,
            issued, refused, introspected, revoked, last_at)
        SELECT batch.organization_id, (batch.created_at AT TIME ZONE 'UTC')::date,
            coalesce(batch.agent_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(batch.credential_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(sum(times) FILTER (WHERE outcome = 'issued'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'refused'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'introspected'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'revoked'), 0), max(created_at)
        FROM batch GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (organization_id, day, agent_id, credential_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
        INSERT INTO analytics_agentmonthusage AS known
            (organization_id, month, agent_id, issued, refused, introspected, revoked, last_at)
        SELECT batch.organization_id,
            date_trunc('month', batch.created_at AT TIME ZONE 'UTC')::date,
            coalesce(batch.agent_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(sum(times) FILTER (WHERE outcome = 'issued'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'refused'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'introspected'), 0),
            coalesce(sum(times) FILTER (WHERE outcome = 'revoked'), 0), max(created_at)
        FROM batch GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (organization_id, month, agent_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
    END IF;
    RETURN NULL;
END $$;
