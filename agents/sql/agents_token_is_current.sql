-- Whether an agent's tokens of then still count: all from before a suspension, of the agent or of
-- its organization, are over.
CREATE OR REPLACE FUNCTION agents_token_is_current(
    issued timestamptz, agent agents_agent, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= agent.tokens_valid_from, true)
        AND organizations_token_is_current(issued, organization)
$$;
