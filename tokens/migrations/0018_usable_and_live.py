"""Whether a credential may be used and a login session goes on, written once for every door."""

from django.db import migrations

IS_USABLE = """
CREATE FUNCTION tokens_credential_is_usable(
    credential tokens_credential, moment timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT credential.status = 'active' AND coalesce(credential.expires_at > moment, true)
$$
"""
IS_USABLE_UNDONE = "DROP FUNCTION tokens_credential_is_usable(tokens_credential, timestamptz)"
IS_LIVE = """
CREATE FUNCTION tokens_session_is_live(
    session tokens_loginsession, person organizations_user, moment timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT person.is_active AND session.ended_at IS NULL
        AND session.created_at > moment - interval '30 days'
        AND coalesce(session.created_at >= person.sessions_valid_from, true)
$$
"""
IS_LIVE_UNDONE = """
DROP FUNCTION tokens_session_is_live(tokens_loginsession, organizations_user, timestamptz)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0017_normalized_text"),
        ("agents", "0007_agent_may_act"),
    ]

    operations = [
        migrations.RunSQL(IS_USABLE, IS_USABLE_UNDONE),
        migrations.RunSQL(IS_LIVE, IS_LIVE_UNDONE),
    ]
