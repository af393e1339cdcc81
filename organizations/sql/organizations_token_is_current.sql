-- Whether tokens of then still count in an organization: all from before it was suspended are over.
CREATE OR REPLACE FUNCTION organizations_token_is_current(
    issued timestamptz, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(issued >= organization.tokens_valid_from, true)
$$;
