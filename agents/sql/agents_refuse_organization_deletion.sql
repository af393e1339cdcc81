-- An organization with active agents cannot be deleted, nor can one from outside of its own scope.
-- Trigger organizations_organization_without_active_agents.
CREATE OR REPLACE FUNCTION agents_refuse_organization_deletion() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('app.organization_id', true) IS DISTINCT FROM NEW.id::text
       OR EXISTS (SELECT FROM agents_agent
                  WHERE organization_id = NEW.id AND status = 'active') THEN
        RAISE EXCEPTION 'The organization has active agents.' USING
            ERRCODE = 'check_violation',
            CONSTRAINT = 'organizations_organization_without_active_agents';
    END IF;
    RETURN NEW;
END $$;
