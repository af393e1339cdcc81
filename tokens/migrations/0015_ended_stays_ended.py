"""What a suspension ended stays ended: tokens from before an agent or an organization was let act
again are dead, and so is a viewer who looks with one.

A token is as old as its `iat`, a whole second. So one that is issued within the second of being let
act again bears the second after it, which is the first that counts. A viewer names the scopes that
its request needs, since more than streams end with a right.
"""

from importlib import import_module

from django.db import migrations

ISSUE_BEFORE = import_module("tokens.migrations.0012_secrets_in_grace").ISSUE
ISSUE = (
    ISSUE_BEFORE.replace(
        "    counted record;\n",
        "    counted record;\n    earliest timestamptz;\n",
    )
    .replace(
        "o.max_tokens_per_month, a.status, a.scopes\n",
        "o.max_tokens_per_month, a.status, a.scopes,\n"
        "           greatest(a.tokens_valid_from, o.tokens_valid_from)\n",
    )
    .replace(
        "monthly_limit, agent_status, agent_scopes\n",
        "monthly_limit, agent_status, agent_scopes, earliest\n",
    )
    .replace(
        "                caller_address, NOT credential.is_current, coalesce(wanted_resource, ''));\n",
        "                caller_address, NOT credential.is_current, coalesce(wanted_resource, ''));\n"
        "        issued_at := greatest(issued_at, earliest);\n",
    )
)
ENDED_BEFORE = import_module("tokens.migrations.0011_narrowed_viewers").ENDED
ENDED = (
    ENDED_BEFORE.replace(
        "page_session text, valid_from timestamptz\n",
        "page_session text, valid_from timestamptz,\n"
        "                issued timestamptz, scopes text[]\n",
    )
    .replace(
        "WHERE o.id = entered AND o.status = 'active'\n",
        "WHERE o.id = entered AND o.status = 'active'\n"
        "                        AND coalesce(v.issued >= o.tokens_valid_from, true)\n",
    )
    .replace(
        "AND a.status = 'active' AND 'executions:read' = ANY (a.scopes)\n",
        "AND a.status = 'active' AND v.scopes <@ a.scopes::text[]\n"
        "                        AND coalesce(v.issued >= a.tokens_valid_from, true)\n",
    )
    .replace(
        "AND m.role = v.role AND u.is_active\n",
        "AND m.role = v.role AND u.is_active\n"
        "                        AND coalesce(m.created_at < v.issued + interval '30 s', true)\n",
    )
)


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0014_reason_choices"),
        ("agents", "0005_tokens_valid_from"),
        ("organizations", "0013_tokens_valid_from"),
    ]

    operations = [
        migrations.RunSQL(ISSUE, ISSUE_BEFORE),
        migrations.RunSQL(ENDED, ENDED_BEFORE),
    ]
