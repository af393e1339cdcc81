-- Who the bearer of a person's token is now, a row; none when the token has ended. `spare` is how
-- much later than the token its membership may seem. In PL/pgSQL, as tokens_live_agent is.
CREATE OR REPLACE FUNCTION tokens_live_person(
    organization uuid, person uuid, session uuid, token uuid, issued timestamptz, spare interval,
    generation integer DEFAULT NULL
) RETURNS TABLE (
    membership organizations_membership, account organizations_user,
    within organizations_organization
) LANGUAGE plpgsql STABLE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT m, u, o
        FROM organizations_membership m
        JOIN organizations_user u ON u.id = m.user_id
        JOIN organizations_organization o ON o.id = m.organization_id
        JOIN tokens_loginsession s ON s.user_id = u.id
        WHERE m.organization_id = organization AND m.user_id = person AND s.id = session
            AND organizations_person_may_act(u, o)
            AND tokens_session_is_live(s, u, clock_timestamp())
            AND organizations_token_is_current(issued, o, generation)
            AND m.created_at < issued + spare
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$;
