-- Whether a person's login session goes on at that moment: not ended, not too old, and begun with
-- the person's present password. That is so if both carry the same mark: which of two times is
-- later would depend on the clocks that wrote them.
CREATE OR REPLACE FUNCTION tokens_session_is_live(
    session tokens_loginsession, person organizations_user, moment timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT person.is_active AND session.ended_at IS NULL
        AND session.created_at > moment - interval '30 days'
        AND session.sessions_valid_from IS NOT DISTINCT FROM person.sessions_valid_from
$$;
