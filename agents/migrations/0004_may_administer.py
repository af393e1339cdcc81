"""Whether an agent may administer its organization now: asked where it is not known to be calling.

Here for the reason of 0003: organizations stand below agents and do not know them. Runs inside the
organization's scope; outside of it the answer is no.
"""

from django.db import migrations

MAY_ADMINISTER = """
CREATE FUNCTION agents_may_administer(organization uuid, agent uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM agents_agent a
        JOIN organizations_principal p ON p.id = a.id AND p.organization_id = a.organization_id
        JOIN organizations_organization o ON o.id = a.organization_id
        WHERE a.organization_id = organization AND a.id = agent
          AND a.status = 'active' AND 'admin:orgs' = ANY (a.scopes)
          AND p.role = 'admin' AND o.status = 'active'
    )
$$
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_organization_deletion")]

    operations = [
        migrations.RunSQL(MAY_ADMINISTER, "DROP FUNCTION agents_may_administer(uuid, uuid)")
    ]
