"""Whether a token is still good, asked in functions that keep their plans."""

from django.db import migrations

AGENT = """
CREATE FUNCTION tokens_live_agent(
    organization uuid, credential uuid, agent uuid, token uuid, issued timestamptz
) RETURNS TABLE (
    email varchar, scopes varchar[], is_administrator boolean, within organizations_organization
) LANGUAGE plpgsql STABLE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT a.email, a.scopes, p.role IS NOT NULL, o
        FROM tokens_credential c
        JOIN organizations_organization o ON o.id = c.organization_id
        JOIN agents_agent a ON a.organization_id = c.organization_id AND a.id = c.agent_id
        LEFT JOIN organizations_principal p ON p.id = a.id AND p.role = 'admin'
        WHERE c.organization_id = organization AND c.id = credential AND c.agent_id = agent
            AND tokens_credential_is_usable(c, clock_timestamp()) AND agents_agent_may_act(a, o)
            AND coalesce(issued >= greatest(a.tokens_valid_from, o.tokens_valid_from), true)
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$
"""
AGENT_UNDONE = "DROP FUNCTION tokens_live_agent(uuid, uuid, uuid, uuid, timestamptz)"
PERSON = """
CREATE FUNCTION tokens_live_person(
    organization uuid, person uuid, session uuid, token uuid, issued timestamptz, spare interval
) RETURNS TABLE (
    membership organizations_membership, account organizations_user,
    within organizations_organization
) LANGUAGE plpgsql STABLE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT m, u, o
        FROM organizations_membership m
        JOIN organizations_user u ON u.id = m.user_id
        JOIN organizations_organization o ON o.id = m.organization_id
        JOIN tokens_loginsession s ON s.user_id = u.id
        WHERE m.organization_id = organization AND m.user_id = person AND s.id = session
            AND organizations_person_may_act(u, o)
            AND tokens_session_is_live(s, u, clock_timestamp())
            AND coalesce(issued >= o.tokens_valid_from, true)
            AND m.created_at < issued + spare
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$
"""
PERSON_UNDONE = "DROP FUNCTION tokens_live_person(uuid, uuid, uuid, uuid, timestamptz, interval)"


class Migration(migrations.Migration):
    dependencies = [("tokens", "0020_viewers_by_rules")]

    operations = [
        migrations.RunSQL(AGENT, AGENT_UNDONE),
        migrations.RunSQL(PERSON, PERSON_UNDONE),
    ]
