"""A token event counts as often as its `times` say, also when they grow.

No lock keeps writers from rebuilds any more: these add what is missing, whatever is counted
meanwhile.
"""

from django.db import migrations

ONE = """
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
"""
AGAIN = """
CREATE OR REPLACE FUNCTION analytics_count_token_event_again() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM analytics_count_token_event(NEW, NEW.times - OLD.times);
    RETURN NULL;
END $$;
CREATE TRIGGER analytics_count_token_event_again
    AFTER UPDATE OF times ON tokens_tokenevent
    FOR EACH ROW WHEN (NEW.times <> OLD.times)
    EXECUTE FUNCTION analytics_count_token_event_again()
"""
NOT_AGAIN = """
DROP TRIGGER analytics_count_token_event_again ON tokens_tokenevent;
DROP FUNCTION analytics_count_token_event_again()
"""
SEVERAL = """
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
"""
SEVERAL_BEFORE = """
CREATE OR REPLACE FUNCTION analytics_count_token_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    single record;
BEGIN
    SELECT * INTO single FROM batch LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF (SELECT count(*) FROM batch) = 1 THEN
        PERFORM pg_advisory_xact_lock_shared(
            hashtextextended('rollups of ' || single.organization_id, 0));
        INSERT INTO analytics_hourusage AS known
            (organization_id, hour, issued, refused, introspected, revoked)
        SELECT single.organization_id,
            floor(date_part('epoch', single.created_at) / 3600)::integer,
            (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer,
            (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer
        ON CONFLICT (organization_id, hour) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_quarterusage AS known
            (organization_id, quarter, issued, refused, introspected, revoked)
        SELECT single.organization_id,
            floor(date_part('epoch', single.created_at) / 900)::integer,
            (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer,
            (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer
        ON CONFLICT (organization_id, quarter) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_agentdayusage AS known
            (organization_id, day, agent_id, credential_id,
            issued, refused, introspected, revoked, last_at)
        SELECT single.organization_id, (single.created_at AT TIME ZONE 'UTC')::date,
            coalesce(single.agent_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(single.credential_id, '00000000-0000-0000-0000-000000000000'),
            (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer,
            (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer,
            single.created_at
        ON CONFLICT (organization_id, day, agent_id, credential_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
        INSERT INTO analytics_agentmonthusage AS known
            (organization_id, month, agent_id, issued, refused, introspected, revoked, last_at)
        SELECT single.organization_id,
            date_trunc('month', single.created_at AT TIME ZONE 'UTC')::date,
            coalesce(single.agent_id, '00000000-0000-0000-0000-000000000000'),
            (single.outcome = 'issued')::integer, (single.outcome = 'refused')::integer,
            (single.outcome = 'introspected')::integer, (single.outcome = 'revoked')::integer,
            single.created_at
        ON CONFLICT (organization_id, month, agent_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(
            hashtextextended('rollups of ' || known.organization_id, 0))
        FROM (SELECT DISTINCT organization_id FROM batch ORDER BY organization_id) known;
        INSERT INTO analytics_hourusage AS known
            (organization_id, hour, issued, refused, introspected, revoked)
        SELECT batch.organization_id,
            floor(date_part('epoch', batch.created_at) / 3600)::integer,
            count(*) FILTER (WHERE outcome = 'issued'),
            count(*) FILTER (WHERE outcome = 'refused'),
            count(*) FILTER (WHERE outcome = 'introspected'),
            count(*) FILTER (WHERE outcome = 'revoked')
        FROM batch GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (organization_id, hour) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked;
        INSERT INTO analytics_quarterusage AS known
            (organization_id, quarter, issued, refused, introspected, revoked)
        SELECT batch.organization_id, floor(date_part('epoch', batch.created_at) / 900)::integer,
            count(*) FILTER (WHERE outcome = 'issued'),
            count(*) FILTER (WHERE outcome = 'refused'),
            count(*) FILTER (WHERE outcome = 'introspected'),
            count(*) FILTER (WHERE outcome = 'revoked')
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
            count(*) FILTER (WHERE outcome = 'issued'),
            count(*) FILTER (WHERE outcome = 'refused'),
            count(*) FILTER (WHERE outcome = 'introspected'),
            count(*) FILTER (WHERE outcome = 'revoked'), max(created_at)
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
            count(*) FILTER (WHERE outcome = 'issued'),
            count(*) FILTER (WHERE outcome = 'refused'),
            count(*) FILTER (WHERE outcome = 'introspected'),
            count(*) FILTER (WHERE outcome = 'revoked'), max(created_at)
        FROM batch GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (organization_id, month, agent_id) DO UPDATE SET
            issued = known.issued + excluded.issued,
            refused = known.refused + excluded.refused,
            introspected = known.introspected + excluded.introspected,
            revoked = known.revoked + excluded.revoked,
            last_at = greatest(known.last_at, excluded.last_at);
    END IF;
    RETURN NULL;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0004_count_several_organizations"),
        ("tokens", "0028_times"),
    ]

    operations = [
        migrations.RunSQL(
            ONE, "DROP FUNCTION analytics_count_token_event(tokens_tokenevent, integer)"
        ),
        migrations.RunSQL(AGAIN, NOT_AGAIN),
        migrations.RunSQL(SEVERAL, SEVERAL_BEFORE),
    ]
