-- Whether the MAC is of one of the credential's secrets: the present one, or one before it.
-- PostgreSQL inlines it: tokens_issue takes as long as with the condition in its place.
CREATE OR REPLACE FUNCTION tokens_has_secret(credential tokens_credential, given_mac bytea)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT credential.secret_mac = given_mac OR credential.previous_secret_mac = given_mac
        OR given_mac = ANY (credential.earlier_secret_macs)
$$;
