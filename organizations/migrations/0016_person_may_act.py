"""Whether a person may act in an organization, written once for every door."""

from django.db import migrations

MAY_ACT = """
CREATE FUNCTION organizations_person_may_act(
    person organizations_user, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT person.is_active AND organization.status = 'active'
$$
"""
UNDONE = """
DROP FUNCTION organizations_person_may_act(organizations_user, organizations_organization)
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0015_invitations_in_one_order")]

    operations = [migrations.RunSQL(MAY_ACT, UNDONE)]
