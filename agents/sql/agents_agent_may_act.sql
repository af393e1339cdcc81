-- Whether an agent may do anything in its organization: neither of them is suspended or ended.
CREATE OR REPLACE FUNCTION agents_agent_may_act(
    agent agents_agent, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT agent.status = 'active' AND organization.status = 'active'
$$;
