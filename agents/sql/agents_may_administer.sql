-- Whether an agent may administer its organization now. Inside the organization's scope; outside of
-- it the answer is no.
CREATE OR REPLACE FUNCTION agents_may_administer(organization uuid, agent uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM agents_agent a
        JOIN organizations_principal p ON p.id = a.id AND p.organization_id = a.organization_id
        JOIN organizations_organization o ON o.id = a.organization_id
        WHERE a.organization_id = organization AND a.id = agent
          AND agents_agent_may_act(a, o) AND 'admin:orgs' = ANY (a.scopes)
          AND p.role = 'admin'
    )
$$;
