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
