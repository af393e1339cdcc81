"""Keep with each token event which secret it was: the hint and the credential's name of then.

The function is that of tokens.0015. What it stores stands in the row that it reads anyway.
"""

from importlib import import_module

import django.contrib.postgres.fields
from django.db import migrations, models

ISSUE_BEFORE = import_module("tokens.migrations.0015_ended_stays_ended").ISSUE


def changed(text: str, *replacements: tuple[str, str]) -> str:
    for old, new in replacements:
        if text.count(old) != 1:
            raise ValueError(f"tokens_issue has changed: {old}")
        text = text.replace(old, new)
    return text


ISSUE = changed(
    ISSUE_BEFORE,
    (
        "SELECT c.id, c.status, c.expires_at,",
        """SELECT c.id, c.status, c.name, c.expires_at,
           CASE given_mac
               WHEN c.secret_mac THEN c.secret_hint
               WHEN c.previous_secret_mac THEN c.previous_secret_hint
               ELSE c.earlier_secret_hints[array_position(c.earlier_secret_macs, given_mac)]
           END AS hint,""",
    ),
    (
        "used_previous_secret, resource)",
        "used_previous_secret, resource, secret_hint, credential_name)",
    ),
    (
        "NOT credential.is_current, coalesce(wanted_resource, ''));",
        "NOT credential.is_current, coalesce(wanted_resource, ''),\n"
        "                coalesce(credential.hint, ''), credential.name);",
    ),
)


class Migration(migrations.Migration):
    dependencies = [("tokens", "0015_ended_stays_ended")]

    operations = [
        migrations.AddField(
            "credential",
            "name",
            models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            "credential",
            "previous_secret_hint",
            models.CharField(blank=True, db_default="", default="", max_length=4),
        ),
        migrations.AddField(
            "credential",
            "earlier_secret_hints",
            django.contrib.postgres.fields.ArrayField(
                models.CharField(max_length=4),
                blank=True,
                db_default=[],
                default=list,
                help_text="The last characters of each of them.",
            ),
        ),
        migrations.AddField(
            "tokenevent",
            "secret_hint",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The last characters of the secret that was used; empty: not kept.",
                max_length=4,
            ),
        ),
        migrations.AddField(
            "tokenevent",
            "credential_name",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The name of the credential when it was used.",
                max_length=64,
            ),
        ),
        migrations.RunSQL(ISSUE, ISSUE_BEFORE),
    ]
