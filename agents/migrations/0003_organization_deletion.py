"""An organization that has active agents cannot be deleted, whoever tries.

The rule lives here because organizations stand below agents and do not know them. It sees the
agents of the organization's own scope only, so outside of that scope it refuses as well.
"""

from django.db import migrations

REFUSE = """
CREATE FUNCTION agents_refuse_organization_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER organizations_organization_without_active_agents
    BEFORE UPDATE OF status ON organizations_organization
    FOR EACH ROW WHEN (NEW.status = 'deleted' AND OLD.status <> 'deleted')
    EXECUTE FUNCTION agents_refuse_organization_deletion()
"""

REFUSE_UNDONE = """
DROP TRIGGER organizations_organization_without_active_agents ON organizations_organization;
DROP FUNCTION agents_refuse_organization_deletion()
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_isolation")]

    operations = [migrations.RunSQL(REFUSE, REFUSE_UNDONE)]
