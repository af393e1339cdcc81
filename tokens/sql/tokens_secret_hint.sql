-- The hint of the credential's secret that has this MAC: of the present one, the one before, or an
-- earlier one. NULL if none has it.
CREATE OR REPLACE FUNCTION tokens_secret_hint(credential tokens_credential, given_mac bytea)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE given_mac
        WHEN credential.secret_mac THEN credential.secret_hint
        WHEN credential.previous_secret_mac THEN credential.previous_secret_hint
        ELSE credential.earlier_secret_hints[
            array_position(credential.earlier_secret_macs, given_mac)
        ]
    END
$$;
