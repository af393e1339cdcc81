-- When failed proofs (passwords, client secrets) are no longer told apart from right ones: gives
-- the seconds to wait, counted under the lock of each key, and NULL where the failure may be told.
CREATE OR REPLACE FUNCTION organizations_count_failure(
    attempt_keys text[], attempt_limits integer[], span interval
) RETURNS integer LANGUAGE plpgsql AS $$
-- Count one failure under each key, up to the first that is full already: gives its seconds until
-- the window ends, and nothing where the failure still may be told.
DECLARE
    counted record;
BEGIN
    FOR place IN 1 .. cardinality(attempt_keys) LOOP
        SELECT * INTO counted FROM organizations_count_attempt(attempt_keys[place], span);
        IF counted.attempts > attempt_limits[place] THEN
            RETURN greatest(1, counted.seconds_left);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
