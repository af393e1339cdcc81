"""Which viewers of open streams may no longer look, of all organizations, in one call.

The same conditions as tokens/liveness.py and pages/decorators.py ask at the beginning of a
request; tests/test_open_streams.py ends viewers in every way that test_dead_tokens.py knows. The
function runs with its caller's rights, so row-level security binds it; it enters one organization
after the other and comes back to where it was.
"""

from django.db import migrations

ENDED = """
CREATE FUNCTION tokens_ended_viewers(viewers jsonb) RETURNS SETOF integer
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    entered uuid;
BEGIN
    FOR entered IN
        SELECT DISTINCT (each ->> 'organization')::uuid FROM jsonb_array_elements(viewers) each
    LOOP
        PERFORM set_config('app.organization_id', entered::text, true);
        RETURN QUERY
            SELECT v.number FROM jsonb_to_recordset(viewers) AS v(
                number integer, kind text, organization uuid, principal uuid, role text,
                credential uuid, session uuid, token uuid, page_session text,
                valid_from timestamptz
            )
            WHERE v.organization = entered AND NOT (
                EXISTS (
                    SELECT FROM organizations_organization o
                    WHERE o.id = entered AND o.status = 'active'
                )
                AND NOT EXISTS (
                    SELECT FROM tokens_revocation r
                    WHERE r.organization_id = entered AND r.token_id = v.token
                )
                AND CASE WHEN v.kind = 'agent' THEN EXISTS (
                    SELECT FROM tokens_credential c
                    JOIN agents_agent a
                        ON a.organization_id = c.organization_id AND a.id = c.agent_id
                    LEFT JOIN organizations_principal p ON p.id = a.id
                    WHERE c.organization_id = entered AND c.id = v.credential
                        AND c.agent_id = v.principal AND c.status = 'active'
                        AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
                        AND a.status = 'active' AND 'executions:read' = ANY (a.scopes)
                        AND (coalesce(p.role, '') = 'admin') = (v.role = 'admin')
                ) ELSE EXISTS (
                    SELECT FROM organizations_membership m
                    JOIN organizations_user u ON u.id = m.user_id
                    WHERE m.organization_id = entered AND m.user_id = v.principal
                        AND m.role = v.role AND u.is_active
                        AND u.sessions_valid_from IS NOT DISTINCT FROM v.valid_from
                ) AND CASE WHEN v.kind = 'person' THEN EXISTS (
                    SELECT FROM tokens_loginsession s
                    WHERE s.id = v.session AND s.ended_at IS NULL
                ) ELSE EXISTS (
                    SELECT FROM django_session s
                    WHERE s.session_key = v.page_session AND s.expire_date > clock_timestamp()
                ) END END
            );
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0004_previous_secret"),
        ("agents", "0002_isolation"),
        ("organizations", "0003_sessions_valid_from"),
        ("sessions", "0001_initial"),
    ]

    operations = [migrations.RunSQL(ENDED, "DROP FUNCTION tokens_ended_viewers(jsonb)")]
