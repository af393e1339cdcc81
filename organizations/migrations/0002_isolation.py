from uuid import UUID

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from organizations.tenancy.migration_operations import IsolateOrganizations

COUNT_ATTEMPT = """
CREATE FUNCTION organizations_count_attempt(attempt_key text, span interval)
RETURNS TABLE (attempts integer, seconds_left integer)
LANGUAGE sql AS $$
    INSERT INTO organizations_attempt AS known (key, started_at, attempts)
    VALUES (attempt_key, clock_timestamp(), 1)
    ON CONFLICT (key) DO UPDATE SET
        started_at = CASE WHEN known.started_at + span > clock_timestamp()
                          THEN known.started_at ELSE clock_timestamp() END,
        attempts = CASE WHEN known.started_at + span > clock_timestamp()
                        THEN known.attempts + 1 ELSE 1 END
    RETURNING known.attempts,
              ceil(extract(epoch FROM known.started_at + span - clock_timestamp()))::integer
$$
"""

APPEND_ONLY = """
CREATE FUNCTION organizations_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER organizations_auditevent_append_only
    BEFORE UPDATE OR DELETE ON organizations_auditevent
    FOR EACH ROW EXECUTE FUNCTION organizations_refuse_change();
REVOKE UPDATE, DELETE ON organizations_auditevent FROM CURRENT_USER
"""

APPEND_ONLY_UNDONE = """
GRANT UPDATE, DELETE ON organizations_auditevent TO CURRENT_USER;
DROP TRIGGER organizations_auditevent_append_only ON organizations_auditevent;
DROP FUNCTION organizations_refuse_change()
"""


def add_unidentified(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Where token requests with an unknown client id are recorded."""
    apps.get_model("organizations", "Organization").objects.create(
        id=UUID(int=0),
        name="Unidentified clients",
        slug="unidentified-clients",
        status="system",
        max_agents=0,
    )


def remove_unidentified(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("organizations", "Organization").objects.filter(id=UUID(int=0)).delete()


class Migration(migrations.Migration):
    dependencies = [("organizations", "0001_initial")]

    operations = [
        IsolateOrganizations("Invitation"),
        IsolateOrganizations("AuditEvent"),
        IsolateOrganizations("AuditChain", has_id=False),
        migrations.RunSQL(
            "ALTER TABLE organizations_attempt SET UNLOGGED",
            "ALTER TABLE organizations_attempt SET LOGGED",
        ),
        migrations.RunSQL(
            COUNT_ATTEMPT, "DROP FUNCTION organizations_count_attempt(text, interval)"
        ),
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_UNDONE),
        migrations.RunPython(add_unidentified, remove_unidentified),
    ]
