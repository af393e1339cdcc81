"""Issue tokens for resources: still one statement, and no other work when none is asked for.

The function is that of tokens.0004 with one parameter and one answer more: the resource's
identifier, and the lifetime in seconds that it chose for its tokens.
"""

from django.db import migrations

ISSUE = """
CREATE FUNCTION tokens_issue(
    wanted_client uuid, given_mac bytea, wanted_scopes text[], new_event uuid, new_token uuid,
    caller_address inet, attempt_key text, attempt_limit integer, attempt_span interval,
    wanted_resource text,
    OUT reason text, OUT found_organization uuid, OUT found_credential uuid,
    OUT granted_scopes text[], OUT algorithm text, OUT issued_at timestamptz,
    OUT retry_after integer, OUT lifetime integer
) LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    agent_status text;
    agent_scopes text[];
    organization_status text;
    monthly_limit integer;
    credential record;
    is_known boolean := true;
    is_allowed boolean;
BEGIN
    issued_at := clock_timestamp();

    SELECT ceil(extract(epoch FROM a.started_at + attempt_span - issued_at))::integer
    INTO retry_after FROM organizations_attempt a
    WHERE a.key = attempt_key AND a.attempts >= attempt_limit
      AND a.started_at + attempt_span > issued_at;
    IF FOUND THEN
        reason := 'throttled';
        RETURN;
    END IF;

    SELECT p.organization_id INTO found_organization
    FROM organizations_principal p WHERE p.id = wanted_client;
    found_organization := coalesce(found_organization, '00000000-0000-0000-0000-000000000000');
    PERFORM set_config('app.organization_id', found_organization::text, true);

    SELECT o.status, o.signing_algorithm, o.max_tokens_per_month, a.status, a.scopes
    INTO organization_status, algorithm, monthly_limit, agent_status, agent_scopes
    FROM organizations_organization o
    LEFT JOIN agents_agent a ON a.organization_id = o.id AND a.id = wanted_client
    WHERE o.id = found_organization;

    SELECT c.id, c.status, c.expires_at, c.previous_expires_at,
           c.secret_mac = given_mac AS is_current,
           CASE WHEN c.secret_mac = given_mac THEN c.last_used_at
                ELSE c.previous_last_used_at END AS secret_last_used_at
    INTO credential FROM tokens_credential c
    WHERE c.organization_id = found_organization AND c.agent_id = wanted_client
      AND (c.secret_mac = given_mac OR c.previous_secret_mac = given_mac)
    ORDER BY c.status, c.created_at DESC LIMIT 1;
    found_credential := credential.id;
    IF wanted_resource IS NULL THEN
        granted_scopes := coalesce(wanted_scopes, agent_scopes);
        is_allowed := granted_scopes <@ agent_scopes;
    ELSE
        -- Nothing is allowed until somebody allows it: without a grant there is no row.
        SELECT r.token_lifetime, ARRAY(
            SELECT known FROM unnest(r.scopes) known
            WHERE known = ANY (g.scopes) AND (wanted_scopes IS NULL OR known = ANY (wanted_scopes))
        )
        INTO lifetime, granted_scopes
        FROM tokens_resource r
        JOIN tokens_resourcegrant g
            ON g.organization_id = r.organization_id AND g.resource_id = r.id
        WHERE r.organization_id = found_organization AND r.identifier = wanted_resource
          AND g.agent_id = wanted_client;
        is_known := FOUND;
        is_allowed := wanted_scopes IS NULL OR granted_scopes <> '{}';
    END IF;

    reason := CASE
        WHEN agent_status IS NULL THEN 'unknown_client'
        WHEN credential.id IS NULL THEN 'wrong_secret'
        WHEN credential.status <> 'active' THEN 'credential_revoked'
        WHEN credential.expires_at <= issued_at THEN 'credential_expired'
        WHEN NOT credential.is_current
             AND coalesce(credential.previous_expires_at <= issued_at, true) THEN 'secret_rotated'
        WHEN organization_status <> 'active' THEN 'organization_suspended'
        WHEN agent_status = 'suspended' THEN 'agent_suspended'
        WHEN agent_status <> 'active' THEN 'agent_decommissioned'
        WHEN NOT is_known THEN 'resource_not_allowed'
        WHEN NOT is_allowed THEN 'scope_not_allowed'
    END;
    IF reason IS NOT NULL AND wanted_resource IS NOT NULL THEN
        granted_scopes := wanted_scopes;  -- for the record: what was asked
    END IF;

    IF reason IS NULL THEN
        -- The row locks from here on are taken in the same order by everyone: no deadlock.
        INSERT INTO tokens_monthlyusage AS known (organization_id, month, issued)
        SELECT found_organization, date_trunc('month', issued_at AT TIME ZONE 'UTC')::date, 1
        WHERE monthly_limit IS NULL OR monthly_limit > 0
        ON CONFLICT (organization_id, month) DO UPDATE SET issued = known.issued + 1
        WHERE monthly_limit IS NULL OR known.issued < monthly_limit;
        IF NOT FOUND THEN
            reason := 'monthly_limit';
        END IF;
    END IF;

    IF reason IS NULL THEN
        IF credential.secret_last_used_at IS NULL
           OR credential.secret_last_used_at < issued_at - interval '1 minute' THEN
            UPDATE tokens_credential
            SET last_used_at = issued_at,
                previous_last_used_at = CASE WHEN credential.is_current THEN previous_last_used_at
                                             ELSE issued_at END
            WHERE organization_id = found_organization AND id = credential.id;
        END IF;
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret, resource)
        VALUES (new_event, found_organization, issued_at, 'issued', '', wanted_client,
                credential.id, new_token, left(array_to_string(granted_scopes, ' '), 255), caller_address,
                NOT credential.is_current, coalesce(wanted_resource, ''));
    END IF;

    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END $$
"""
BEFORE = """
CREATE OR REPLACE FUNCTION tokens_issue(
    wanted_client uuid, given_mac bytea, wanted_scopes text[], new_event uuid, new_token uuid,
    caller_address inet, attempt_key text, attempt_limit integer, attempt_span interval,
    OUT reason text, OUT found_organization uuid, OUT found_credential uuid,
    OUT granted_scopes text[], OUT algorithm text, OUT issued_at timestamptz,
    OUT retry_after integer
) LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    agent_status text;
    agent_scopes text[];
    organization_status text;
    monthly_limit integer;
    credential record;
BEGIN
    issued_at := clock_timestamp();

    SELECT ceil(extract(epoch FROM a.started_at + attempt_span - issued_at))::integer
    INTO retry_after FROM organizations_attempt a
    WHERE a.key = attempt_key AND a.attempts >= attempt_limit
      AND a.started_at + attempt_span > issued_at;
    IF FOUND THEN
        reason := 'throttled';
        RETURN;
    END IF;

    SELECT p.organization_id INTO found_organization
    FROM organizations_principal p WHERE p.id = wanted_client;
    found_organization := coalesce(found_organization, '00000000-0000-0000-0000-000000000000');
    PERFORM set_config('app.organization_id', found_organization::text, true);

    SELECT o.status, o.signing_algorithm, o.max_tokens_per_month, a.status, a.scopes
    INTO organization_status, algorithm, monthly_limit, agent_status, agent_scopes
    FROM organizations_organization o
    LEFT JOIN agents_agent a ON a.organization_id = o.id AND a.id = wanted_client
    WHERE o.id = found_organization;

    SELECT c.id, c.status, c.expires_at, c.previous_expires_at,
           c.secret_mac = given_mac AS is_current,
           CASE WHEN c.secret_mac = given_mac THEN c.last_used_at
                ELSE c.previous_last_used_at END AS secret_last_used_at
    INTO credential FROM tokens_credential c
    WHERE c.organization_id = found_organization AND c.agent_id = wanted_client
      AND (c.secret_mac = given_mac OR c.previous_secret_mac = given_mac)
    ORDER BY c.status, c.created_at DESC LIMIT 1;
    found_credential := credential.id;
    granted_scopes := coalesce(wanted_scopes, agent_scopes);

    reason := CASE
        WHEN agent_status IS NULL THEN 'unknown_client'
        WHEN credential.id IS NULL THEN 'wrong_secret'
        WHEN credential.status <> 'active' THEN 'credential_revoked'
        WHEN credential.expires_at <= issued_at THEN 'credential_expired'
        WHEN NOT credential.is_current
             AND coalesce(credential.previous_expires_at <= issued_at, true) THEN 'secret_rotated'
        WHEN organization_status <> 'active' THEN 'organization_suspended'
        WHEN agent_status = 'suspended' THEN 'agent_suspended'
        WHEN agent_status <> 'active' THEN 'agent_decommissioned'
        WHEN NOT granted_scopes <@ agent_scopes THEN 'scope_not_allowed'
    END;

    IF reason IS NULL THEN
        -- The row locks from here on are taken in the same order by everyone: no deadlock.
        INSERT INTO tokens_monthlyusage AS known (organization_id, month, issued)
        SELECT found_organization, date_trunc('month', issued_at AT TIME ZONE 'UTC')::date, 1
        WHERE monthly_limit IS NULL OR monthly_limit > 0
        ON CONFLICT (organization_id, month) DO UPDATE SET issued = known.issued + 1
        WHERE monthly_limit IS NULL OR known.issued < monthly_limit;
        IF NOT FOUND THEN
            reason := 'monthly_limit';
        END IF;
    END IF;

    IF reason IS NULL THEN
        IF credential.secret_last_used_at IS NULL
           OR credential.secret_last_used_at < issued_at - interval '1 minute' THEN
            UPDATE tokens_credential
            SET last_used_at = issued_at,
                previous_last_used_at = CASE WHEN credential.is_current THEN previous_last_used_at
                                             ELSE issued_at END
            WHERE organization_id = found_organization AND id = credential.id;
        END IF;
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret)
        VALUES (new_event, found_organization, issued_at, 'issued', '', wanted_client,
                credential.id, new_token, array_to_string(granted_scopes, ' '), caller_address,
                NOT credential.is_current);
    END IF;

    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END $$
"""
DROP_BEFORE = (
    "DROP FUNCTION tokens_issue(uuid, bytea, text[], uuid, uuid, inet, text, integer, interval)"
)
DROP = (
    "DROP FUNCTION tokens_issue"
    "(uuid, bytea, text[], uuid, uuid, inet, text, integer, interval, text)"
)


class Migration(migrations.Migration):
    dependencies = [("tokens", "0007_isolate_resources")]

    operations = [
        migrations.RunSQL(DROP_BEFORE, BEFORE),
        migrations.RunSQL(ISSUE, DROP),
    ]
