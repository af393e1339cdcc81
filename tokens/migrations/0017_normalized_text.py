"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

RESOURCE = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "tokens_resource" t SET "name" = normalize(t."name")
    WHERE t."name" IS NOT NFC NORMALIZED;
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("tokens", "0016_used_secrets")]

    operations = [
        migrations.RunSQL(RESOURCE, migrations.RunSQL.noop),
    ]
