"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

EXECUTIONUSER = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "executions_executionuser" t SET "email" = normalize(t."email")
    WHERE t."email" IS NOT NFC NORMALIZED;
    UPDATE "executions_executionuser" t SET "name" = normalize(t."name")
    WHERE t."name" IS NOT NFC NORMALIZED;
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""
EXECUTION = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "executions_execution" t SET "agent_name" = normalize(t."agent_name")
    WHERE t."agent_name" IS NOT NFC NORMALIZED;
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""
EXECUTIONFILE = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "executions_executionfile" t SET "path" = normalize(t."path")
    WHERE t."path" IS NOT NFC NORMALIZED
        AND NOT EXISTS (SELECT 1 FROM "executions_executionfile" other WHERE other.id <> t.id AND (other.execution_id = t.execution_id AND other.area = t.area)
            AND lower(normalize(other."path")) = lower(normalize(t."path")));
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""
UPLOAD = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "executions_upload" t SET "path" = normalize(t."path")
    WHERE t."path" IS NOT NFC NORMALIZED
        AND NOT EXISTS (SELECT 1 FROM "executions_upload" other WHERE other.id <> t.id AND (other.execution_id = t.execution_id AND other.area = t.area)
            AND lower(normalize(other."path")) = lower(normalize(t."path")));
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0016_searchable")]

    operations = [
        migrations.RunSQL(EXECUTIONUSER, migrations.RunSQL.noop),
        migrations.RunSQL(EXECUTION, migrations.RunSQL.noop),
        migrations.RunSQL(EXECUTIONFILE, migrations.RunSQL.noop),
        migrations.RunSQL(UPLOAD, migrations.RunSQL.noop),
    ]
