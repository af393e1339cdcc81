"""A suspension of an agent ends its tokens by a generation, which no clock changes."""

from django.db import migrations, models

CURRENT = """
CREATE OR REPLACE FUNCTION agents_token_is_current(
    issued timestamptz, agent agents_agent, organization organizations_organization,
    generation integer DEFAULT NULL
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (generation IS NOT NULL OR coalesce(issued >= agent.tokens_valid_from, true))
        AND organizations_token_is_current(
            issued, organization, generation - agent.token_generation
        )
$$
"""
CURRENT_BEFORE = """
CREATE OR REPLACE FUNCTION agents_token_is_current(
    issued timestamptz, agent agents_agent, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= agent.tokens_valid_from, true)
        AND organizations_token_is_current(issued, organization)
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0011_email_wording"),
        ("organizations", "0021_token_generation"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="token_generation",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="How often it was reactivated. Tokens name the generation they belong to.",
            ),
        ),
        migrations.AlterField(
            model_name="agent",
            name="tokens_valid_from",
            field=models.DateTimeField(
                editable=False,
                help_text="Tokens that name no generation and were issued before this time no longer work. Whole seconds.",
                null=True,
            ),
        ),
        migrations.RunSQL(
            [
                "DROP FUNCTION agents_token_is_current",
                CURRENT,
            ],
            [
                "DROP FUNCTION agents_token_is_current",
                CURRENT_BEFORE,
            ],
        ),
    ]
