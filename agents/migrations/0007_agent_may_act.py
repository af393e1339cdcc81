"""Whether an agent may act, written once for every door."""

from django.db import migrations

MAY_ACT = """
CREATE FUNCTION agents_agent_may_act(
    agent agents_agent, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT agent.status = 'active' AND organization.status = 'active'
$$
"""
UNDONE = "DROP FUNCTION agents_agent_may_act(agents_agent, organizations_organization)"
MAY_ADMINISTER = """
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
$$
"""
MAY_ADMINISTER_BEFORE = """
CREATE OR REPLACE FUNCTION agents_may_administer(organization uuid, agent uuid) RETURNS boolean
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
    dependencies = [
        ("agents", "0006_normalized_text"),
        ("organizations", "0016_person_may_act"),
    ]

    operations = [
        migrations.RunSQL(MAY_ACT, UNDONE),
        migrations.RunSQL(MAY_ADMINISTER, MAY_ADMINISTER_BEFORE),
    ]
