"""A suspension of an organization ends its tokens by a generation, which no clock changes."""

from django.db import migrations, models

CURRENT = """
CREATE OR REPLACE FUNCTION organizations_token_is_current(
    issued timestamptz, organization organizations_organization, generation integer DEFAULT NULL
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN generation IS NULL
        THEN coalesce(issued >= organization.tokens_valid_from, true)
        ELSE generation = organization.token_generation END
$$
"""
CURRENT_BEFORE = """
CREATE OR REPLACE FUNCTION organizations_token_is_current(
    issued timestamptz, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= organization.tokens_valid_from, true)
$$
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0020_normalized")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="token_generation",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="How often it was reactivated. Tokens name the generation they belong to.",
            ),
        ),
        migrations.AlterField(
            model_name="organization",
            name="tokens_valid_from",
            field=models.DateTimeField(
                editable=False,
                help_text="Tokens that name no generation and were issued before this time no longer work. Whole seconds.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="sessions_valid_from",
            field=models.DateTimeField(
                editable=False,
                help_text="When all sessions ended. Each session has a copy of it, and has ended if the copy differs.",
                null=True,
            ),
        ),
        migrations.RunSQL(
            [
                "DROP FUNCTION organizations_token_is_current(timestamptz, organizations_organization)",
                CURRENT,
            ],
            [
                "DROP FUNCTION organizations_token_is_current",
                CURRENT_BEFORE,
            ],
        ),
    ]
