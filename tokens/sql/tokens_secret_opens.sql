-- Whether a secret opens the credential at that moment: it is the present one, or one from before a
-- rotation whose grace has not ended.
CREATE OR REPLACE FUNCTION tokens_secret_opens(
    credential tokens_credential, given_mac bytea, moment timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (given_mac = credential.secret_mac OR coalesce(moment < CASE given_mac
        WHEN credential.previous_secret_mac THEN credential.previous_expires_at
        ELSE credential.earlier_secret_ends[
            array_position(credential.earlier_secret_macs, given_mac)
        ]
    END, false))
$$;
