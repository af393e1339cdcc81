"""How far the watched executions have come, of all organizations, in one call: the poller asks
several times a second for everybody who looks.

`executions[n]` belongs to `organizations[n]`; one that does not exist has no row in the answer.
The function runs with its caller's rights, so row-level security binds it; it enters one
organization after the other and comes back to where it was.
"""

from django.db import migrations

HEADS = """
CREATE FUNCTION executions_heads(organizations uuid[], executions uuid[])
RETURNS TABLE (id uuid, organization_id uuid, last_sequence integer, status varchar)
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    watched record;
BEGIN
    FOR watched IN
        SELECT w.organization, array_agg(w.execution) AS executions
        FROM unnest(organizations, executions) AS w(organization, execution)
        GROUP BY w.organization
    LOOP
        PERFORM set_config('app.organization_id', watched.organization::text, true);
        RETURN QUERY
            SELECT e.id, e.organization_id, e.last_sequence, e.status
            FROM executions_execution e
            WHERE e.organization_id = watched.organization AND e.id = ANY (watched.executions);
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0003_leases")]

    operations = [migrations.RunSQL(HEADS, "DROP FUNCTION executions_heads(uuid[], uuid[])")]
