-- Whether a credential may be used at that moment, as far as it depends on itself: its agent must
-- be one that may act as well.
CREATE OR REPLACE FUNCTION tokens_credential_is_usable(
    credential tokens_credential, moment timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT credential.status = 'active' AND coalesce(credential.expires_at > moment, true)
$$;
