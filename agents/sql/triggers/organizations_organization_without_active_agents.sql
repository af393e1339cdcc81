-- An organization with active agents is not deleted.
CREATE OR REPLACE TRIGGER organizations_organization_without_active_agents
    BEFORE UPDATE OF status ON organizations_organization
    FOR EACH ROW
    WHEN (NEW.status = 'deleted' AND OLD.status <> 'deleted')
    EXECUTE FUNCTION agents_refuse_organization_deletion();
