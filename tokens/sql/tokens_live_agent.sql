-- What the bearer of an agent's token is and may do now, a row; none when the token has ended. In
-- PL/pgSQL, which keeps the plan: making one takes several times as long as looking the rows up.
CREATE OR REPLACE FUNCTION tokens_live_agent(
    organization uuid, credential uuid, agent uuid, token uuid, issued timestamptz,
    generation integer DEFAULT NULL
) RETURNS TABLE (
    email varchar, scopes varchar[], is_administrator boolean, within organizations_organization
) LANGUAGE plpgsql STABLE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT a.email, a.scopes, p.role IS NOT NULL, o
        FROM tokens_credential c
        JOIN organizations_organization o ON o.id = c.organization_id
        JOIN agents_agent a ON a.organization_id = c.organization_id AND a.id = c.agent_id
        LEFT JOIN organizations_principal p ON p.id = a.id AND p.role = 'admin'
        WHERE c.organization_id = organization AND c.id = credential AND c.agent_id = agent
            AND tokens_credential_is_usable(c, clock_timestamp()) AND agents_agent_may_act(a, o)
            AND agents_token_is_current(issued, a, o, generation)
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$;
