"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

AGENT_EMAIL = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "agents_agent" t SET "email" = normalize(t."email")
    WHERE t."email" IS NOT NFC NORMALIZED
        AND NOT EXISTS (SELECT 1 FROM "agents_agent" other WHERE other.id <> t.id AND (true)
            AND lower(normalize(other."email")) = lower(normalize(t."email")));
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""
AGENT_OWNER = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "agents_agent" t SET "owner" = normalize(t."owner")
    WHERE t."owner" IS NOT NFC NORMALIZED;
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_tokens_valid_from")]

    operations = [
        migrations.RunSQL(AGENT_EMAIL, migrations.RunSQL.noop),
        migrations.RunSQL(AGENT_OWNER, migrations.RunSQL.noop),
    ]
