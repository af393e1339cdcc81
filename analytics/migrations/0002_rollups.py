"""Keep the rollups exact in the transaction of every token event.

A statement trigger with a transition table: a row trigger deadlocks between batches
(performance.md 9). A single event, which is every token request, takes the short way without
grouping. Everyone takes row locks in the same order: hours, quarters, agents' days, agents' months,
each sorted, so two batches of one statement each cannot deadlock.

The shared advisory lock lets a rebuild keep one organization's writers out and nobody else's.

Token events are never updated. Deleting old ones (retention) leaves the rollups as they are: they
are the long memory, and `rebuild_rollups` must then not be told to start before what is left.
"""

from django.db import migrations

from organizations.tenancy.migration_operations import IsolateOrganizations

COUNT = """
CREATE FUNCTION analytics_count_token_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    single record;
BEGIN
    SELECT * INTO single FROM batch LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended('rollups of ' || single.organization_id, 0));
    IF (SELECT count(*) FROM batch) = 1 THEN
        INSERT INTO analytics_hourusage AS known (organization_id, hour, issued, refused, introspected, revoked)
        SELECT single.organization_id, floor(date_part('epoch', single.created_at) / 3600)::integer, (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer, (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer
        
        ON CONFLICT (organization_id, hour) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_quarterusage AS known (organization_id, quarter, issued, refused, introspected, revoked)
        SELECT single.organization_id, floor(date_part('epoch', single.created_at) / 900)::integer, (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer, (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer
        
        ON CONFLICT (organization_id, quarter) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_agentdayusage AS known (organization_id, day, agent_id, credential_id, issued, refused, introspected, revoked, last_at)
        SELECT single.organization_id, (single.created_at AT TIME ZONE 'UTC')::date, coalesce(single.agent_id, '00000000-0000-0000-0000-000000000000'), coalesce(single.credential_id, '00000000-0000-0000-0000-000000000000'), (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer, (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer, single.created_at
        
        ON CONFLICT (organization_id, day, agent_id, credential_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
        INSERT INTO analytics_agentmonthusage AS known (organization_id, month, agent_id, issued, refused, introspected, revoked, last_at)
        SELECT single.organization_id, date_trunc('month', single.created_at AT TIME ZONE 'UTC')::date, coalesce(single.agent_id, '00000000-0000-0000-0000-000000000000'), (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer, (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer, single.created_at
        
        ON CONFLICT (organization_id, month, agent_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
    ELSE
        INSERT INTO analytics_hourusage AS known (organization_id, hour, issued, refused, introspected, revoked)
        SELECT batch.organization_id, floor(date_part('epoch', batch.created_at) / 3600)::integer, count(*) FILTER (WHERE outcome = 'issued'), count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'introspected'), count(*) FILTER (WHERE outcome = 'revoked')
        FROM batch GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (organization_id, hour) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_quarterusage AS known (organization_id, quarter, issued, refused, introspected, revoked)
        SELECT batch.organization_id, floor(date_part('epoch', batch.created_at) / 900)::integer, count(*) FILTER (WHERE outcome = 'issued'), count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'introspected'), count(*) FILTER (WHERE outcome = 'revoked')
        FROM batch GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (organization_id, quarter) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_agentdayusage AS known (organization_id, day, agent_id, credential_id, issued, refused, introspected, revoked, last_at)
        SELECT batch.organization_id, (batch.created_at AT TIME ZONE 'UTC')::date, coalesce(batch.agent_id, '00000000-0000-0000-0000-000000000000'), coalesce(batch.credential_id, '00000000-0000-0000-0000-000000000000'), count(*) FILTER (WHERE outcome = 'issued'), count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'introspected'), count(*) FILTER (WHERE outcome = 'revoked'), max(created_at)
        FROM batch GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (organization_id, day, agent_id, credential_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
        INSERT INTO analytics_agentmonthusage AS known (organization_id, month, agent_id, issued, refused, introspected, revoked, last_at)
        SELECT batch.organization_id, date_trunc('month', batch.created_at AT TIME ZONE 'UTC')::date, coalesce(batch.agent_id, '00000000-0000-0000-0000-000000000000'), count(*) FILTER (WHERE outcome = 'issued'), count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'introspected'), count(*) FILTER (WHERE outcome = 'revoked'), max(created_at)
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
CREATE TRIGGER analytics_count_token_events
    AFTER INSERT ON tokens_tokenevent REFERENCING NEW TABLE AS batch
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_count_token_events()
"""  # noqa: W293 - the text as it was created
NO_COUNTING = """
DROP TRIGGER analytics_count_token_events ON tokens_tokenevent;
DROP FUNCTION analytics_count_token_events()
"""

# Room on each page for the next version of its rows: updates then touch no index.
ROOM = """
ALTER TABLE analytics_hourusage SET (fillfactor = 70);
ALTER TABLE analytics_quarterusage SET (fillfactor = 70);
ALTER TABLE analytics_agentdayusage SET (fillfactor = 70);
ALTER TABLE analytics_agentmonthusage SET (fillfactor = 70)
"""
ROOM_UNDONE = """
ALTER TABLE analytics_hourusage RESET (fillfactor);
ALTER TABLE analytics_quarterusage RESET (fillfactor);
ALTER TABLE analytics_agentdayusage RESET (fillfactor);
ALTER TABLE analytics_agentmonthusage RESET (fillfactor)
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_initial"), ("tokens", "0002_isolation")]

    operations = [
        IsolateOrganizations("HourUsage", has_id=False),
        IsolateOrganizations("QuarterUsage", has_id=False),
        IsolateOrganizations("AgentDayUsage", has_id=False),
        IsolateOrganizations("AgentMonthUsage", has_id=False),
        migrations.RunSQL(ROOM, ROOM_UNDONE),
        migrations.RunSQL(COUNT, NO_COUNTING),
    ]
