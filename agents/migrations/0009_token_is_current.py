"""Whether an agent's tokens of then still count, written once."""

from django.db import migrations

CURRENT = """
CREATE FUNCTION agents_token_is_current(
    issued timestamptz, agent agents_agent, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= agent.tokens_valid_from, true)
        AND organizations_token_is_current(issued, organization)
$$
"""
UNDONE = (
    "DROP FUNCTION agents_token_is_current(timestamptz, agents_agent, organizations_organization)"
)


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0008_runbook_url"),
        ("organizations", "0018_token_is_current"),
    ]

    operations = [migrations.RunSQL(CURRENT, UNDONE)]
