-- Which executions that somebody waits for are there now: gives their places, from 1. `fids[n]`
-- belongs to `organizations[n]` and counts when `agents[n]` runs it or `people[n]` launched it;
-- where both are NULL, as soon as it is there.
CREATE OR REPLACE FUNCTION executions_appeared(
    organizations uuid[], fids text[], agents uuid[], people uuid[]
) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    outer_organization text := current_setting('app.organization_id', true);
    waited record;
BEGIN
    FOR waited IN
        SELECT w.organization, array_agg(w.place) AS places, array_agg(w.fid) AS fids,
            array_agg(w.agent) AS agents, array_agg(w.person) AS people
        FROM unnest(organizations, fids, agents, people)
            WITH ORDINALITY AS w(organization, fid, agent, person, place)
        GROUP BY w.organization
    LOOP
        PERFORM set_config('app.organization_id', waited.organization::text, true);
        RETURN QUERY
            SELECT w.place
            FROM unnest(waited.places, waited.fids, waited.agents, waited.people)
                AS w(place, fid, agent, person)
            JOIN executions_execution e
                ON e.organization_id = waited.organization AND e.fid = w.fid
            LEFT JOIN executions_executionuser u
                ON u.organization_id = e.organization_id AND u.id = e.user_id
            WHERE (w.agent IS NULL AND w.person IS NULL)
                OR e.agent_id = w.agent OR u.user_id = w.person;
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(outer_organization, ''), true);
END
$$;
