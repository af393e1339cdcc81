"""Leases that have lapsed, in all organizations, in one call: the reaper asks every few seconds.

The function runs with its caller's rights, so row-level security binds it; it enters one
organization after the other and comes back to where it was.
"""

from django.db import migrations, models

LAPSED = """
CREATE FUNCTION executions_lapsed_leases(most integer)
RETURNS TABLE (organization_id uuid, execution_id uuid)
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    organization record;
BEGIN
    FOR organization IN SELECT o.id FROM organizations_organization o LOOP
        PERFORM set_config('app.organization_id', organization.id::text, true);
        RETURN QUERY
            SELECT e.organization_id, e.id FROM executions_execution e
            WHERE e.organization_id = organization.id AND e.lease_expires_at < clock_timestamp()
            ORDER BY e.lease_expires_at LIMIT most;
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0002_isolation")]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="lease_seconds",
            field=models.PositiveIntegerField(
                help_text="How long a lease lasts after each sign of life.", null=True
            ),
        ),
        migrations.RunSQL(LAPSED, "DROP FUNCTION executions_lapsed_leases(integer)"),
    ]
