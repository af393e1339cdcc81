-- Whether a token still counts in an organization: all from before it was suspended are over.
-- A token names the generation it belongs to, a fact that no clock changes. One from before there
-- were generations names none, and goes by its time.
CREATE OR REPLACE FUNCTION organizations_token_is_current(
    issued timestamptz, organization organizations_organization, generation integer DEFAULT NULL
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN generation IS NULL
        THEN coalesce(issued >= organization.tokens_valid_from, true)
        ELSE generation = organization.token_generation END
$$;
