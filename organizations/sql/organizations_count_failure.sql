-- When failed proofs (passwords, client secrets) are no longer told apart from right ones: gives
-- the seconds to wait, counted under the lock of each key, and NULL where the failure may be told.
CREATE OR REPLACE FUNCTION organizations_count_failure(
    attempt_keys text[], attempt_limits integer[], span interval,
    -- Where failures count that need a counter of their own, so that counters stay few.
    room text DEFAULT NULL, room_limit integer DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql AS $$
-- Count one failure under each key, up to the first that is full already: gives its seconds until
-- the window ends, and nothing where the failure still may be told. A key may be NULL.
DECLARE
    an_hour CONSTANT interval := '1 hour';
    counted record;
    left_of_hour interval;
BEGIN
    IF room IS NOT NULL
       AND NOT EXISTS (SELECT FROM organizations_attempt a WHERE a.key = attempt_keys[1]) THEN
        SELECT a.started_at + an_hour - clock_timestamp() INTO left_of_hour
        FROM organizations_attempt a WHERE a.key = room AND a.attempts >= room_limit;
        IF left_of_hour > interval '0' AND left_of_hour < 2 * an_hour THEN
            RETURN greatest(1, ceil(extract(epoch FROM left_of_hour)));
        END IF;
        -- The first row that is locked: no deadlock.
        PERFORM organizations_count_attempt(room, an_hour);
    END IF;
    FOR place IN 1 .. cardinality(attempt_keys) LOOP
        CONTINUE WHEN attempt_keys[place] IS NULL;
        SELECT * INTO counted FROM organizations_count_attempt(attempt_keys[place], span);
        IF counted.attempts > attempt_limits[place] THEN
            RETURN greatest(1, counted.seconds_left);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
