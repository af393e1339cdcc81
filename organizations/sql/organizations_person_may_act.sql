-- Whether a person may do anything in an organization that it is a member of.
CREATE OR REPLACE FUNCTION organizations_person_may_act(
    person organizations_user, organization organizations_organization
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT person.is_active AND organization.status = 'active'
$$;
