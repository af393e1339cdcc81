"""What is known of the accounts and organizations that exist.

An account that an invitation's link made never proved its address, and keeps that organization;
the operator made the others and vouches for them. The first owner counts as the founder.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

VOUCHED_FOR = "UPDATE organizations_user SET email_verified_at = created_at"
MADE_BY_LINK = """
UPDATE organizations_user u SET email_verified_at = NULL, created_through_id = i.organization_id
FROM organizations_invitation i
WHERE i.organization_id = %(organization)s AND lower(i.email) = lower(u.email)
  AND i.accepted_at BETWEEN u.created_at AND u.created_at + interval '1 minute'
"""
INVITERS = """
UPDATE organizations_invitation i SET inviter_label = u.email
FROM organizations_user u
WHERE i.organization_id = %(organization)s AND u.id = i.invited_by_id
"""
FOUNDERS = """
UPDATE organizations_organization o SET created_by_id = (
    SELECT m.user_id FROM organizations_membership m
    WHERE m.organization_id = o.id AND m.role = 'owner' ORDER BY m.created_at, m.id LIMIT 1
)
"""


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    organizations = apps.get_model("organizations", "Organization").objects.values_list("pk")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(VOUCHED_FOR)
        for (organization,) in organizations:
            cursor.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization)]
            )
            cursor.execute(MADE_BY_LINK, {"organization": organization})
            cursor.execute(INVITERS, {"organization": organization})
        cursor.execute("SELECT set_config('app.organization_id', '', true)")
        cursor.execute(FOUNDERS)


class Migration(migrations.Migration):
    dependencies = [("organizations", "0005_proven_addresses")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
