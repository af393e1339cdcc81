-- Whether an agent's token still counts: all from before a suspension, of the agent or of its
-- organization, are over. The generation that it names is the sum of both of theirs: neither is
-- ever lowered, so the sum is the same only if both are.
CREATE OR REPLACE FUNCTION agents_token_is_current(
    issued timestamptz, agent agents_agent, organization organizations_organization,
    generation integer DEFAULT NULL
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (generation IS NOT NULL OR coalesce(issued >= agent.tokens_valid_from, true))
        AND organizations_token_is_current(
            issued, organization, generation - agent.token_generation
        )
$$;
