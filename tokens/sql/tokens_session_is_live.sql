-- Whether a person's login session goes on at that moment: not ended, not too old, and begun with
-- the person's present password.
CREATE OR REPLACE FUNCTION tokens_session_is_live(
    session tokens_loginsession, person organizations_user, moment timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT person.is_active AND session.ended_at IS NULL
        AND session.created_at > moment - interval '30 days'
        AND coalesce(session.created_at >= person.sessions_valid_from, true)
$$;
