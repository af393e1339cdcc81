"""Whether a token from then still counts is asked by the one rule."""

from django.db import migrations

AGENT = """
CREATE OR REPLACE FUNCTION tokens_live_agent(
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
            AND agents_token_is_current(issued, a, o)
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$
"""
AGENT_BEFORE = AGENT.replace(
    "agents_token_is_current(issued, a, o)",
    "coalesce(issued >= greatest(a.tokens_valid_from, o.tokens_valid_from), true)",
)
PERSON = """
CREATE OR REPLACE FUNCTION tokens_live_person(
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
            AND organizations_token_is_current(issued, o)
            AND m.created_at < issued + spare
            AND NOT EXISTS (
                SELECT FROM tokens_revocation r
                WHERE r.organization_id = organization AND r.token_id = token
            );
END
$$
"""
PERSON_BEFORE = PERSON.replace(
    "organizations_token_is_current(issued, o)", "coalesce(issued >= o.tokens_valid_from, true)"
)
VIEWERS = """
CREATE OR REPLACE FUNCTION tokens_ended_viewers(viewers jsonb) RETURNS SETOF integer
LANGUAGE plpgsql SECURITY INVOKER SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    entered uuid;
    theirs jsonb;
    home organizations_organization;
BEGIN
    FOR entered, theirs IN
        SELECT (each ->> 'organization')::uuid, jsonb_agg(each)
        FROM jsonb_array_elements(viewers) each GROUP BY 1
    LOOP
        PERFORM set_config('app.organization_id', entered::text, true);
        SELECT * INTO home FROM organizations_organization o WHERE o.id = entered;
        RETURN QUERY
            SELECT v.number FROM jsonb_to_recordset(theirs) AS v(
                number integer, kind text, principal uuid, role text, credential uuid,
                session uuid, token uuid, kid text, page_session text, valid_from timestamptz,
                issued timestamptz, scopes text[]
            )
            WHERE NOT (
                NOT EXISTS (
                    SELECT FROM tokens_revocation r
                    WHERE r.organization_id = entered AND r.token_id = v.token
                )
                AND (v.kid IS NULL OR v.kid IN (
                    SELECT k.kid FROM tokens_signingkey k
                    WHERE k.removed_at IS NULL OR k.removed_at > clock_timestamp()
                ))
                AND CASE WHEN v.kind = 'agent' THEN EXISTS (
                    SELECT FROM tokens_credential c
                    JOIN agents_agent a
                        ON a.organization_id = c.organization_id AND a.id = c.agent_id
                    LEFT JOIN organizations_principal p ON p.id = a.id
                    WHERE c.organization_id = entered AND c.id = v.credential
                        AND c.agent_id = v.principal
                        AND tokens_credential_is_usable(c, clock_timestamp())
                        AND agents_agent_may_act(a, home) AND v.scopes <@ a.scopes::text[]
                        AND agents_token_is_current(v.issued, a, home)
                        AND (v.role = '' OR p.role = v.role AND 'admin:orgs' = ANY (a.scopes))
                ) ELSE EXISTS (
                    SELECT FROM organizations_membership m
                    JOIN organizations_user u ON u.id = m.user_id
                    WHERE m.organization_id = entered AND m.user_id = v.principal
                        AND m.role = v.role AND organizations_person_may_act(u, home)
                        AND organizations_token_is_current(v.issued, home)
                        AND coalesce(m.created_at < v.issued + interval '30 s', true)
                        AND u.sessions_valid_from IS NOT DISTINCT FROM v.valid_from
                        AND CASE WHEN v.kind = 'person' THEN EXISTS (
                            SELECT FROM tokens_loginsession s
                            WHERE s.id = v.session AND s.user_id = u.id
                                AND tokens_session_is_live(s, u, clock_timestamp())
                        ) ELSE EXISTS (
                            SELECT FROM django_session s
                            WHERE s.session_key = v.page_session
                                AND s.expire_date > clock_timestamp()
                        ) END
                ) END
            );
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$
"""
VIEWERS_BEFORE = VIEWERS.replace(
    "agents_token_is_current(v.issued, a, home)",
    """coalesce(v.issued >= a.tokens_valid_from, true)
                        AND coalesce(v.issued >= home.tokens_valid_from, true)""",
).replace(
    "organizations_token_is_current(v.issued, home)",
    "coalesce(v.issued >= home.tokens_valid_from, true)",
)


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0023_windows_ahead"),
        ("agents", "0009_token_is_current"),
    ]

    operations = [
        migrations.RunSQL(AGENT, AGENT_BEFORE),
        migrations.RunSQL(PERSON, PERSON_BEFORE),
        migrations.RunSQL(VIEWERS, VIEWERS_BEFORE),
    ]
