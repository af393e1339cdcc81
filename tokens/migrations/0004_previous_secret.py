"""Record which secret a token was issued for, while a rotation's grace period lasts.

The function is that of tokens.0003 with two more columns: the event's `used_previous_secret`, and
the credential's `previous_last_used_at`.
"""

from django.db import migrations, models

ISSUE = """
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
ISSUE_BEFORE = """
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

    SELECT c.id, c.status, c.expires_at, c.last_used_at,
           c.secret_mac = given_mac AS is_current, c.previous_expires_at
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
        IF credential.last_used_at IS NULL
           OR credential.last_used_at < issued_at - interval '1 minute' THEN
            UPDATE tokens_credential SET last_used_at = issued_at
            WHERE organization_id = found_organization AND id = credential.id;
        END IF;
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address)
        VALUES (new_event, found_organization, issued_at, 'issued', '', wanted_client,
                credential.id, new_token, array_to_string(granted_scopes, ' '), caller_address);
    END IF;

    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("tokens", "0003_issue")]

    operations = [
        migrations.AddField(
            "credential",
            "previous_last_used_at",
            models.DateTimeField(
                help_text="When the secret before the last rotation got a token; to a minute.",
                null=True,
            ),
        ),
        migrations.AddField(
            "tokenevent",
            "used_previous_secret",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="The client still has the secret from before the last rotation.",
            ),
        ),
        migrations.RunSQL(ISSUE, ISSUE_BEFORE),
    ]
