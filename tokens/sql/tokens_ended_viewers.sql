-- Which viewers of open streams may no longer look, of all organizations, in one call: gives the
-- `number` of each. Asks what tokens/liveness.py and pages/decorators.py ask at a request's
-- beginning. One plan serves all organizations: planning again for each takes longer than asking.
CREATE OR REPLACE FUNCTION tokens_ended_viewers(viewers jsonb) RETURNS SETOF integer
LANGUAGE plpgsql SECURITY INVOKER SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    entered uuid;
    theirs jsonb;
    home organizations_organization;
BEGIN
    FOR entered, theirs IN
        SELECT (each ->> 'organization')::uuid, jsonb_agg(each)
        FROM jsonb_array_elements(viewers) each GROUP BY 1
    LOOP
        PERFORM set_config('app.organization_id', entered::text, true);
        SELECT * INTO home FROM organizations_organization o WHERE o.id = entered;
        RETURN QUERY
            SELECT v.number FROM jsonb_to_recordset(theirs) AS v(
                number integer, kind text, principal uuid, role text, credential uuid,
                session uuid, token uuid, kid text, page_session text, valid_from timestamptz,
                issued timestamptz, generation integer, scopes text[]
            )
            WHERE NOT (
                NOT EXISTS (
                    SELECT FROM tokens_revocation r
                    WHERE r.organization_id = entered AND r.token_id = v.token
                )
                AND (v.kid IS NULL OR v.kid IN (
                    SELECT k.kid FROM tokens_signingkey k
                    WHERE k.removed_at IS NULL OR k.removed_at > clock_timestamp()
                ))
                AND CASE WHEN v.kind = 'agent' THEN EXISTS (
                    SELECT FROM tokens_credential c
                    JOIN agents_agent a
                        ON a.organization_id = c.organization_id AND a.id = c.agent_id
                    LEFT JOIN organizations_principal p ON p.id = a.id
                    WHERE c.organization_id = entered AND c.id = v.credential
                        AND c.agent_id = v.principal
                        AND tokens_credential_is_usable(c, clock_timestamp())
                        AND agents_agent_may_act(a, home) AND v.scopes <@ a.scopes::text[]
                        AND agents_token_is_current(v.issued, a, home, v.generation)
                        AND (v.role = '' OR p.role = v.role AND 'admin:orgs' = ANY (a.scopes))
                ) ELSE EXISTS (
                    SELECT FROM organizations_membership m
                    JOIN organizations_user u ON u.id = m.user_id
                    WHERE m.organization_id = entered AND m.user_id = v.principal
                        AND m.role = v.role AND organizations_person_may_act(u, home)
                        AND organizations_token_is_current(v.issued, home, v.generation)
                        AND coalesce(m.created_at < v.issued + interval '30 s', true)
                        AND u.sessions_valid_from IS NOT DISTINCT FROM v.valid_from
                        AND CASE WHEN v.kind = 'person' THEN EXISTS (
                            SELECT FROM tokens_loginsession s
                            WHERE s.id = v.session AND s.user_id = u.id
                                AND tokens_session_is_live(s, u, clock_timestamp())
                        ) ELSE EXISTS (
                            SELECT FROM django_session s
                            WHERE s.session_key = v.page_session
                                AND s.expire_date > clock_timestamp()
                        ) END
                ) END
            );
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$;
