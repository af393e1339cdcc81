"""Failures of clients count for the wider network of IPv6 as well, and make few counters."""

from django.db import migrations

ISSUE = """
-- Whether a client gets a token, and for what: finds its organization, checks secret, scopes and
-- limits, counts and records the token, in one statement. `reason` says why not; a refusal is
-- recorded by tokens.actions, with its audit event. Runs with its caller's rights, inside row-level
-- security.
CREATE OR REPLACE FUNCTION tokens_issue(
    wanted_client uuid, given_mac bytea, wanted_scopes text[], new_event uuid, new_token uuid,
    caller_address inet, wanted_resource text,
    -- Where failures count: those of this client from this address, then all of the address, then
    -- all of the wider network, which may be NULL.
    attempt_keys text[], attempt_limits integer[], attempt_span interval,
    -- Where recorded failures count: of some clients, known and unknown ones alike.
    record_bucket text, record_limit integer,
    -- Where failures count that need a counter of their own.
    room text DEFAULT NULL, room_limit integer DEFAULT NULL,
    OUT reason text, OUT found_organization uuid, OUT found_credential uuid,
    OUT granted_scopes text[], OUT algorithm text, OUT issued_at timestamptz,
    OUT retry_after integer, OUT lifetime integer, OUT left_out integer, OUT generation integer
) LANGUAGE plpgsql SECURITY INVOKER AS $$
-- A refusal is to be recorded where `left_out` says how many were not before it.
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    agent_status text;
    agent_scopes text[];
    may_act boolean;
    organization_status text;
    monthly_limit integer;
    credential record;
    is_known boolean := true;
    is_allowed boolean;
    has_failures boolean;
    is_authenticated boolean;
    counted record;
BEGIN
    issued_at := clock_timestamp();

    SELECT ceil(extract(epoch FROM max(a.started_at) FILTER (
               WHERE a.attempts >= CASE a.key WHEN attempt_keys[1] THEN attempt_limits[1]
                                              WHEN attempt_keys[2] THEN attempt_limits[2]
                                              ELSE attempt_limits[3] END
           ) + attempt_span - issued_at))::integer,
           coalesce(bool_or(a.key = attempt_keys[1]), false)
    INTO retry_after, has_failures FROM organizations_attempt a
    -- Not "= ANY": PostgreSQL would plan that anew for every request.
    WHERE a.key IN (attempt_keys[1], attempt_keys[2], attempt_keys[3]) AND a.attempts > 0
      AND a.started_at + attempt_span > issued_at
      -- A window that begins later than that is none: the clock was ahead when it began.
      AND a.started_at - attempt_span < issued_at;
    IF retry_after IS NOT NULL THEN
        reason := 'throttled';
        RETURN;
    END IF;

    SELECT p.organization_id INTO found_organization
    FROM organizations_principal p WHERE p.id = wanted_client;
    found_organization := coalesce(found_organization, nobody);
    PERFORM set_config('app.organization_id', found_organization::text, true);

    SELECT o.status, o.signing_algorithm, o.max_tokens_per_month, a.status, a.scopes,
           a.token_generation + o.token_generation, agents_agent_may_act(a, o)
    INTO organization_status, algorithm, monthly_limit, agent_status, agent_scopes,
         generation, may_act
    FROM organizations_organization o
    LEFT JOIN agents_agent a ON a.organization_id = o.id AND a.id = wanted_client
    WHERE o.id = found_organization;

    SELECT c.id, c.status, c.name, tokens_credential_is_usable(c, issued_at) AS is_usable,
           tokens_secret_hint(c, given_mac) AS hint, c.secret_mac = given_mac AS is_current,
           tokens_secret_opens(c, given_mac, issued_at) AS is_open,
           CASE WHEN c.secret_mac = given_mac THEN c.last_used_at
                ELSE c.previous_last_used_at END AS secret_last_used_at
    INTO credential FROM tokens_credential c
    WHERE c.organization_id = found_organization AND c.agent_id = wanted_client
      AND tokens_has_secret(c, given_mac)
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
        WHEN NOT credential.is_usable THEN
            CASE WHEN credential.status <> 'active' THEN 'credential_revoked'
                 ELSE 'credential_expired' END
        WHEN NOT credential.is_open THEN 'secret_rotated'
        WHEN NOT may_act THEN
            CASE WHEN organization_status <> 'active' THEN 'organization_suspended'
                 WHEN agent_status = 'decommissioned' THEN 'agent_decommissioned'
                 ELSE 'agent_suspended' END
    END;
    IF reason IS NOT NULL THEN
        -- The place in the window decides what is told: parallel guesses get no more answers.
        retry_after := organizations_count_failure(
            attempt_keys, attempt_limits, attempt_span, room, room_limit
        );
    ELSIF has_failures THEN
        -- The right secret among wrong ones: it waits for those that came before it.
        SELECT a.attempts, a.started_at + attempt_span - clock_timestamp() AS left INTO counted
        FROM organizations_attempt a WHERE a.key = attempt_keys[1] FOR SHARE;
        IF counted.attempts >= attempt_limits[1]
           AND counted.left > interval '0' AND counted.left < 2 * attempt_span THEN
            retry_after := greatest(1, ceil(extract(epoch FROM counted.left)));
        END IF;
    END IF;
    is_authenticated := reason IS NULL;
    reason := CASE
        WHEN retry_after IS NOT NULL THEN 'throttled'
        WHEN reason IS NOT NULL THEN reason
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
            retry_after := ceil(extract(epoch FROM
                (date_trunc('month', issued_at AT TIME ZONE 'UTC') + interval '1 month')
                AT TIME ZONE 'UTC' - issued_at));
        END IF;
    END IF;

    IF reason IS NULL THEN
        IF credential.secret_last_used_at IS NULL
           -- A time in the future is of a clock that was ahead then.
           OR credential.secret_last_used_at
              NOT BETWEEN issued_at - interval '1 minute' AND issued_at + interval '1 minute' THEN
            UPDATE tokens_credential
            SET last_used_at = issued_at,
                previous_last_used_at = CASE WHEN credential.is_current THEN previous_last_used_at
                                             ELSE issued_at END
            WHERE organization_id = found_organization AND id = credential.id;
        END IF;
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret, resource, secret_hint, credential_name)
        VALUES (new_event, found_organization, issued_at, 'issued', '', wanted_client,
                credential.id, new_token, left(array_to_string(granted_scopes, ' '), 255),
                caller_address, NOT credential.is_current, coalesce(wanted_resource, ''),
                coalesce(credential.hint, ''), credential.name);
    ELSIF is_authenticated AND reason <> 'throttled' THEN
        left_out := organizations_note_failure(
            'recorded ' || wanted_client, record_limit, attempt_span, NULL
        );
    ELSIF reason <> 'throttled' THEN
        left_out := organizations_note_failure(
            record_bucket, record_limit, attempt_span,
            'left out ' || CASE WHEN agent_status IS NULL THEN nobody ELSE wanted_client END
        );
    END IF;

    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END $$;
"""
ISSUE_BEFORE = """
-- Whether a client gets a token, and for what: finds its organization, checks secret, scopes and
-- limits, counts and records the token, in one statement. `reason` says why not; a refusal is
-- recorded by tokens.actions, with its audit event. Runs with its caller's rights, inside row-level
-- security.
CREATE OR REPLACE FUNCTION tokens_issue(
    wanted_client uuid, given_mac bytea, wanted_scopes text[], new_event uuid, new_token uuid,
    caller_address inet, wanted_resource text,
    -- Where failures count: those of this client from this address, then all of the address.
    attempt_keys text[], attempt_limits integer[], attempt_span interval,
    -- Where recorded failures count: of some clients, known and unknown ones alike.
    record_bucket text, record_limit integer,
    OUT reason text, OUT found_organization uuid, OUT found_credential uuid,
    OUT granted_scopes text[], OUT algorithm text, OUT issued_at timestamptz,
    OUT retry_after integer, OUT lifetime integer, OUT left_out integer, OUT generation integer
) LANGUAGE plpgsql SECURITY INVOKER AS $$
-- A refusal is to be recorded where `left_out` says how many were not before it.
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    agent_status text;
    agent_scopes text[];
    may_act boolean;
    organization_status text;
    monthly_limit integer;
    credential record;
    is_known boolean := true;
    is_allowed boolean;
    has_failures boolean;
    is_authenticated boolean;
    counted record;
BEGIN
    issued_at := clock_timestamp();

    SELECT ceil(extract(epoch FROM max(a.started_at) FILTER (
               WHERE a.attempts >= CASE a.key WHEN attempt_keys[1] THEN attempt_limits[1]
                                              ELSE attempt_limits[2] END
           ) + attempt_span - issued_at))::integer,
           coalesce(bool_or(a.key = attempt_keys[1]), false)
    INTO retry_after, has_failures FROM organizations_attempt a
    -- Not "= ANY": PostgreSQL would plan that anew for every request.
    WHERE a.key IN (attempt_keys[1], attempt_keys[2]) AND a.attempts > 0
      AND a.started_at + attempt_span > issued_at
      -- A window that begins later than that is none: the clock was ahead when it began.
      AND a.started_at - attempt_span < issued_at;
    IF retry_after IS NOT NULL THEN
        reason := 'throttled';
        RETURN;
    END IF;

    SELECT p.organization_id INTO found_organization
    FROM organizations_principal p WHERE p.id = wanted_client;
    found_organization := coalesce(found_organization, nobody);
    PERFORM set_config('app.organization_id', found_organization::text, true);

    SELECT o.status, o.signing_algorithm, o.max_tokens_per_month, a.status, a.scopes,
           a.token_generation + o.token_generation, agents_agent_may_act(a, o)
    INTO organization_status, algorithm, monthly_limit, agent_status, agent_scopes,
         generation, may_act
    FROM organizations_organization o
    LEFT JOIN agents_agent a ON a.organization_id = o.id AND a.id = wanted_client
    WHERE o.id = found_organization;

    SELECT c.id, c.status, c.name, tokens_credential_is_usable(c, issued_at) AS is_usable,
           tokens_secret_hint(c, given_mac) AS hint, c.secret_mac = given_mac AS is_current,
           tokens_secret_opens(c, given_mac, issued_at) AS is_open,
           CASE WHEN c.secret_mac = given_mac THEN c.last_used_at
                ELSE c.previous_last_used_at END AS secret_last_used_at
    INTO credential FROM tokens_credential c
    WHERE c.organization_id = found_organization AND c.agent_id = wanted_client
      AND tokens_has_secret(c, given_mac)
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
        WHEN NOT credential.is_usable THEN
            CASE WHEN credential.status <> 'active' THEN 'credential_revoked'
                 ELSE 'credential_expired' END
        WHEN NOT credential.is_open THEN 'secret_rotated'
        WHEN NOT may_act THEN
            CASE WHEN organization_status <> 'active' THEN 'organization_suspended'
                 WHEN agent_status = 'decommissioned' THEN 'agent_decommissioned'
                 ELSE 'agent_suspended' END
    END;
    IF reason IS NOT NULL THEN
        -- The place in the window decides what is told: parallel guesses get no more answers.
        retry_after := organizations_count_failure(attempt_keys, attempt_limits, attempt_span);
    ELSIF has_failures THEN
        -- The right secret among wrong ones: it waits for those that came before it.
        SELECT a.attempts, a.started_at + attempt_span - clock_timestamp() AS left INTO counted
        FROM organizations_attempt a WHERE a.key = attempt_keys[1] FOR SHARE;
        IF counted.attempts >= attempt_limits[1]
           AND counted.left > interval '0' AND counted.left < 2 * attempt_span THEN
            retry_after := greatest(1, ceil(extract(epoch FROM counted.left)));
        END IF;
    END IF;
    is_authenticated := reason IS NULL;
    reason := CASE
        WHEN retry_after IS NOT NULL THEN 'throttled'
        WHEN reason IS NOT NULL THEN reason
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
            retry_after := ceil(extract(epoch FROM
                (date_trunc('month', issued_at AT TIME ZONE 'UTC') + interval '1 month')
                AT TIME ZONE 'UTC' - issued_at));
        END IF;
    END IF;

    IF reason IS NULL THEN
        IF credential.secret_last_used_at IS NULL
           -- A time in the future is of a clock that was ahead then.
           OR credential.secret_last_used_at
              NOT BETWEEN issued_at - interval '1 minute' AND issued_at + interval '1 minute' THEN
            UPDATE tokens_credential
            SET last_used_at = issued_at,
                previous_last_used_at = CASE WHEN credential.is_current THEN previous_last_used_at
                                             ELSE issued_at END
            WHERE organization_id = found_organization AND id = credential.id;
        END IF;
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret, resource, secret_hint, credential_name)
        VALUES (new_event, found_organization, issued_at, 'issued', '', wanted_client,
                credential.id, new_token, left(array_to_string(granted_scopes, ' '), 255),
                caller_address, NOT credential.is_current, coalesce(wanted_resource, ''),
                coalesce(credential.hint, ''), credential.name);
    ELSIF is_authenticated AND reason <> 'throttled' THEN
        left_out := organizations_note_failure(
            'recorded ' || wanted_client, record_limit, attempt_span, NULL
        );
    ELSIF reason <> 'throttled' THEN
        left_out := organizations_note_failure(
            record_bucket, record_limit, attempt_span,
            'left out ' || CASE WHEN agent_status IS NULL THEN nobody ELSE wanted_client END
        );
    END IF;

    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END $$;
"""
ISSUE_BATCH = """
-- Tokens for several clients in one statement and one commit. It grants what tokens_issue would
-- grant, and returns a row for each request granted. It leaves every other request untouched, and
-- those of a client with a counted failure: tokens_issue decides about them, one by one. It waits
-- for locks no longer than `lock_wait`. Runs as the owner, whose policy shows the organizations of
-- these clients and no others.
CREATE OR REPLACE FUNCTION tokens_issue_batch(
    wanted_clients uuid[], given_macs bytea[], wanted_scopes text[], new_events uuid[],
    new_tokens uuid[], caller_addresses inet[], wanted_resources text[],
    -- Where failures count: those of this client from this address, then all of the address, and
    -- at the end all of the wider network, which may be NULL.
    client_keys text[], address_keys text[], address_limit integer, attempt_span interval,
    lock_wait text, wider_keys text[] DEFAULT NULL, wider_limit integer DEFAULT NULL
) RETURNS TABLE (
    place bigint, found_organization uuid, found_credential uuid, granted_scopes text,
    algorithm text, issued_at bigint, lifetime integer, generation integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();
    entered uuid[];
BEGIN
    PERFORM set_config('lock_timeout', lock_wait, true);
    SELECT array_agg(DISTINCT p.organization_id) INTO entered
    FROM organizations_principal p WHERE p.id = ANY (wanted_clients);
    PERFORM set_config('app.organization_ids', coalesce(entered::text, ''), true);
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT u.*, string_to_array(u.scope, ' ')::varchar[] AS scopes, p.organization_id
        FROM unnest(
            wanted_clients, given_macs, wanted_scopes, new_events, new_tokens, caller_addresses,
            wanted_resources, client_keys, address_keys, wider_keys
        ) WITH ORDINALITY AS u(
            client, mac, scope, event, token, address, resource, client_key, address_key,
            wider_key, place
        )
        JOIN organizations_principal p ON p.id = u.client
        WHERE p.organization_id = ANY (entered)
    ), authenticated AS MATERIALIZED (
        SELECT a.*, o.signing_algorithm, o.max_tokens_per_month, r.token_lifetime,
            g.token_generation + o.token_generation AS generation,
            c.id AS credential_id, c.name, c.hint, c.is_current, c.is_stale,
            CASE WHEN a.resource IS NULL THEN coalesce(a.scopes, g.scopes) ELSE ARRAY(
                SELECT known FROM unnest(r.scopes) known WHERE known = ANY (granted.scopes)
                    AND (a.scopes IS NULL OR known = ANY (a.scopes))
            ) END AS given
        FROM asked a
        JOIN organizations_organization o ON o.id = a.organization_id
        JOIN agents_agent g ON g.organization_id = a.organization_id AND g.id = a.client
        CROSS JOIN LATERAL (
            SELECT c.id, c.name, tokens_credential_is_usable(c, moment) AS is_usable,
                tokens_secret_opens(c, a.mac, moment) AS is_open,
                c.secret_mac = a.mac AS is_current,
                tokens_secret_hint(c, a.mac) AS hint,
                -- A time in the future is of a clock that was ahead then.
                coalesce(CASE WHEN c.secret_mac = a.mac THEN c.last_used_at
                              ELSE c.previous_last_used_at END
                         NOT BETWEEN moment - interval '1 minute' AND moment + interval '1 minute',
                         true) AS is_stale
            FROM tokens_credential c
            WHERE c.organization_id = a.organization_id AND c.agent_id = a.client
              AND tokens_has_secret(c, a.mac)
            ORDER BY c.status, c.created_at DESC LIMIT 1
        ) c
        LEFT JOIN tokens_resource r
            ON r.organization_id = a.organization_id AND r.identifier = a.resource
        LEFT JOIN tokens_resourcegrant granted
            ON granted.organization_id = a.organization_id AND granted.resource_id = r.id
            AND granted.agent_id = a.client
        WHERE agents_agent_may_act(g, o) AND c.is_usable AND c.is_open
          AND CASE WHEN a.resource IS NULL THEN a.scopes IS NULL OR a.scopes <@ g.scopes
                   ELSE granted.id IS NOT NULL END
          AND NOT EXISTS (
              SELECT FROM organizations_attempt t
              WHERE t.key IN (a.client_key, a.address_key, a.wider_key) AND t.attempts > 0
                AND (t.key = a.client_key
                     OR t.attempts >= CASE t.key WHEN a.address_key THEN address_limit
                                                 ELSE wider_limit END)
                AND t.started_at + attempt_span > moment AND t.started_at - attempt_span < moment
          )
    ), allowed AS MATERIALIZED (
        SELECT * FROM authenticated
        WHERE resource IS NULL OR scopes IS NULL OR given <> '{}'
    ), counted AS (
        -- The first rows that are locked, in the order of their keys, as everywhere: no deadlock.
        INSERT INTO tokens_monthlyusage AS known (organization_id, month, issued)
        SELECT a.organization_id, date_trunc('month', moment AT TIME ZONE 'UTC')::date, count(*)
        FROM allowed a GROUP BY a.organization_id
        HAVING min(a.max_tokens_per_month) IS NULL OR count(*) <= min(a.max_tokens_per_month)
        ORDER BY a.organization_id
        ON CONFLICT (organization_id, month) DO UPDATE SET issued = known.issued + excluded.issued
        WHERE (
            SELECT o.max_tokens_per_month IS NULL
                OR known.issued + excluded.issued <= o.max_tokens_per_month
            FROM organizations_organization o WHERE o.id = known.organization_id
        )
        RETURNING known.organization_id
    ), issued AS MATERIALIZED (
        SELECT a.* FROM allowed a JOIN counted USING (organization_id)
    ), used AS (
        UPDATE tokens_credential c SET last_used_at = moment,
            previous_last_used_at = CASE WHEN i.is_old THEN moment
                                         ELSE c.previous_last_used_at END
        FROM (
            SELECT organization_id, credential_id, bool_or(NOT is_current) AS is_old
            FROM issued WHERE is_stale GROUP BY 1, 2
        ) i
        WHERE c.organization_id = i.organization_id AND c.id = i.credential_id
    ), recorded AS (
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret, resource, secret_hint, credential_name)
        SELECT i.event, i.organization_id, moment, 'issued', '', i.client, i.credential_id, i.token,
            left(array_to_string(i.given, ' '), 255), i.address, NOT i.is_current,
            coalesce(i.resource, ''), coalesce(i.hint, ''), i.name
        FROM issued i
    )
    SELECT i.place, i.organization_id, i.credential_id, array_to_string(i.given, ' '),
        i.signing_algorithm::text, floor(extract(epoch FROM moment))::bigint, i.token_lifetime,
        i.generation
    FROM issued i;
    PERFORM set_config('app.organization_ids', '', true);
END $$;
"""
ISSUE_BATCH_BEFORE = """
-- Tokens for several clients in one statement and one commit. It grants what tokens_issue would
-- grant, and returns a row for each request granted. It leaves every other request untouched, and
-- those of a client with a counted failure: tokens_issue decides about them, one by one. It waits
-- for locks no longer than `lock_wait`. Runs as the owner, whose policy shows the organizations of
-- these clients and no others.
CREATE OR REPLACE FUNCTION tokens_issue_batch(
    wanted_clients uuid[], given_macs bytea[], wanted_scopes text[], new_events uuid[],
    new_tokens uuid[], caller_addresses inet[], wanted_resources text[],
    -- Where failures count: those of this client from this address, then all of the address.
    client_keys text[], address_keys text[], address_limit integer, attempt_span interval,
    lock_wait text
) RETURNS TABLE (
    place bigint, found_organization uuid, found_credential uuid, granted_scopes text,
    algorithm text, issued_at bigint, lifetime integer, generation integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();
    entered uuid[];
BEGIN
    PERFORM set_config('lock_timeout', lock_wait, true);
    SELECT array_agg(DISTINCT p.organization_id) INTO entered
    FROM organizations_principal p WHERE p.id = ANY (wanted_clients);
    PERFORM set_config('app.organization_ids', coalesce(entered::text, ''), true);
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT u.*, string_to_array(u.scope, ' ')::varchar[] AS scopes, p.organization_id
        FROM unnest(
            wanted_clients, given_macs, wanted_scopes, new_events, new_tokens, caller_addresses,
            wanted_resources, client_keys, address_keys
        ) WITH ORDINALITY AS u(
            client, mac, scope, event, token, address, resource, client_key, address_key, place
        )
        JOIN organizations_principal p ON p.id = u.client
        WHERE p.organization_id = ANY (entered)
    ), authenticated AS MATERIALIZED (
        SELECT a.*, o.signing_algorithm, o.max_tokens_per_month, r.token_lifetime,
            g.token_generation + o.token_generation AS generation,
            c.id AS credential_id, c.name, c.hint, c.is_current, c.is_stale,
            CASE WHEN a.resource IS NULL THEN coalesce(a.scopes, g.scopes) ELSE ARRAY(
                SELECT known FROM unnest(r.scopes) known WHERE known = ANY (granted.scopes)
                    AND (a.scopes IS NULL OR known = ANY (a.scopes))
            ) END AS given
        FROM asked a
        JOIN organizations_organization o ON o.id = a.organization_id
        JOIN agents_agent g ON g.organization_id = a.organization_id AND g.id = a.client
        CROSS JOIN LATERAL (
            SELECT c.id, c.name, tokens_credential_is_usable(c, moment) AS is_usable,
                tokens_secret_opens(c, a.mac, moment) AS is_open,
                c.secret_mac = a.mac AS is_current,
                tokens_secret_hint(c, a.mac) AS hint,
                -- A time in the future is of a clock that was ahead then.
                coalesce(CASE WHEN c.secret_mac = a.mac THEN c.last_used_at
                              ELSE c.previous_last_used_at END
                         NOT BETWEEN moment - interval '1 minute' AND moment + interval '1 minute',
                         true) AS is_stale
            FROM tokens_credential c
            WHERE c.organization_id = a.organization_id AND c.agent_id = a.client
              AND tokens_has_secret(c, a.mac)
            ORDER BY c.status, c.created_at DESC LIMIT 1
        ) c
        LEFT JOIN tokens_resource r
            ON r.organization_id = a.organization_id AND r.identifier = a.resource
        LEFT JOIN tokens_resourcegrant granted
            ON granted.organization_id = a.organization_id AND granted.resource_id = r.id
            AND granted.agent_id = a.client
        WHERE agents_agent_may_act(g, o) AND c.is_usable AND c.is_open
          AND CASE WHEN a.resource IS NULL THEN a.scopes IS NULL OR a.scopes <@ g.scopes
                   ELSE granted.id IS NOT NULL END
          AND NOT EXISTS (
              SELECT FROM organizations_attempt t
              WHERE t.key IN (a.client_key, a.address_key) AND t.attempts > 0
                AND (t.key = a.client_key OR t.attempts >= address_limit)
                AND t.started_at + attempt_span > moment AND t.started_at - attempt_span < moment
          )
    ), allowed AS MATERIALIZED (
        SELECT * FROM authenticated
        WHERE resource IS NULL OR scopes IS NULL OR given <> '{}'
    ), counted AS (
        -- The first rows that are locked, in the order of their keys, as everywhere: no deadlock.
        INSERT INTO tokens_monthlyusage AS known (organization_id, month, issued)
        SELECT a.organization_id, date_trunc('month', moment AT TIME ZONE 'UTC')::date, count(*)
        FROM allowed a GROUP BY a.organization_id
        HAVING min(a.max_tokens_per_month) IS NULL OR count(*) <= min(a.max_tokens_per_month)
        ORDER BY a.organization_id
        ON CONFLICT (organization_id, month) DO UPDATE SET issued = known.issued + excluded.issued
        WHERE (
            SELECT o.max_tokens_per_month IS NULL
                OR known.issued + excluded.issued <= o.max_tokens_per_month
            FROM organizations_organization o WHERE o.id = known.organization_id
        )
        RETURNING known.organization_id
    ), issued AS MATERIALIZED (
        SELECT a.* FROM allowed a JOIN counted USING (organization_id)
    ), used AS (
        UPDATE tokens_credential c SET last_used_at = moment,
            previous_last_used_at = CASE WHEN i.is_old THEN moment
                                         ELSE c.previous_last_used_at END
        FROM (
            SELECT organization_id, credential_id, bool_or(NOT is_current) AS is_old
            FROM issued WHERE is_stale GROUP BY 1, 2
        ) i
        WHERE c.organization_id = i.organization_id AND c.id = i.credential_id
    ), recorded AS (
        INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, agent_id,
                                       credential_id, token_id, scope, ip_address,
                                       used_previous_secret, resource, secret_hint, credential_name)
        SELECT i.event, i.organization_id, moment, 'issued', '', i.client, i.credential_id, i.token,
            left(array_to_string(i.given, ' '), 255), i.address, NOT i.is_current,
            coalesce(i.resource, ''), coalesce(i.hint, ''), i.name
        FROM issued i
    )
    SELECT i.place, i.organization_id, i.credential_id, array_to_string(i.given, ' '),
        i.signing_algorithm::text, floor(extract(epoch FROM moment))::bigint, i.token_lifetime,
        i.generation
    FROM issued i;
    PERFORM set_config('app.organization_ids', '', true);
END $$;
"""


def replaced(name: str, text: str, before: str) -> migrations.RunSQL:
    """A function with other parameters cannot be replaced in place."""
    drop = f"DROP FUNCTION {name}"
    return migrations.RunSQL([drop, text], [drop, before])


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0032_drop_partition"),
        ("organizations", "0023_attempts_end"),
    ]

    operations = [
        replaced("tokens_issue", ISSUE, ISSUE_BEFORE),
        replaced("tokens_issue_batch", ISSUE_BATCH, ISSUE_BATCH_BEFORE),
    ]
