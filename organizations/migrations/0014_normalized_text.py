"""Text that is compared gets the one Unicode form in which it is compared from now on."""

from django.db import migrations

USER_ADDRESSES = """
UPDATE "organizations_user" t SET "email" = normalize(t."email")
WHERE t."email" IS NOT NFC NORMALIZED
    AND NOT EXISTS (SELECT 1 FROM "organizations_user" other WHERE other.id <> t.id AND (true)
        AND lower(normalize(other."email")) = lower(normalize(t."email")));
UPDATE "organizations_user" t SET "username" = normalize(t."username")
WHERE t."username" IS NOT NFC NORMALIZED
    AND NOT EXISTS (SELECT 1 FROM "organizations_user" other WHERE other.id <> t.id AND (true)
        AND lower(normalize(other."username")) = lower(normalize(t."username")));
"""
USER_NAME = """
UPDATE "organizations_user" t SET "name" = normalize(t."name")
WHERE t."name" IS NOT NFC NORMALIZED;
"""
ORGANIZATION = """
UPDATE "organizations_organization" t SET "name" = normalize(t."name")
WHERE t."name" IS NOT NFC NORMALIZED;
"""
ACCOUNTLINK = """
UPDATE "organizations_accountlink" t SET "email" = normalize(t."email")
WHERE t."email" IS NOT NFC NORMALIZED;
"""
INVITATION = """
DO $$ DECLARE organization uuid; BEGIN
FOR organization IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', organization::text, true);
    UPDATE "organizations_invitation" t SET "email" = normalize(t."email")
    WHERE t."email" IS NOT NFC NORMALIZED
        AND NOT EXISTS (SELECT 1 FROM "organizations_invitation" other WHERE other.id <> t.id AND (true)
            AND lower(normalize(other."email")) = lower(normalize(t."email")));
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0013_tokens_valid_from")]

    operations = [
        migrations.RunSQL(USER_ADDRESSES, migrations.RunSQL.noop),
        migrations.RunSQL(USER_NAME, migrations.RunSQL.noop),
        migrations.RunSQL(ORGANIZATION, migrations.RunSQL.noop),
        migrations.RunSQL(ACCOUNTLINK, migrations.RunSQL.noop),
        migrations.RunSQL(INVITATION, migrations.RunSQL.noop),
    ]
