"""Whether tokens of then still count in an organization, written once."""

from django.db import migrations

CURRENT = """
CREATE FUNCTION organizations_token_is_current(
    issued timestamptz, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= organization.tokens_valid_from, true)
$$
"""
UNDONE = "DROP FUNCTION organizations_token_is_current(timestamptz, organizations_organization)"


class Migration(migrations.Migration):
    dependencies = [("organizations", "0017_windows_ahead")]

    operations = [migrations.RunSQL(CURRENT, UNDONE)]
