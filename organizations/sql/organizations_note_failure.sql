-- Which failed proofs are recorded one by one: gives how many were left out since the last recorded
-- one, and NULL where this one is left out as well.
CREATE OR REPLACE FUNCTION organizations_note_failure(
    bucket text, bucket_limit integer, span interval, left_out text
) RETURNS integer LANGUAGE plpgsql AS $$
-- Whether the failure may be recorded: gives how many were left out since the last recorded one,
-- and nothing where this one is left out as well. `left_out` counts them; without it nobody does.
DECLARE
    counted integer;
    earlier integer;
BEGIN
    SELECT c.attempts INTO counted FROM organizations_count_attempt(bucket, span) c;
    IF counted > bucket_limit THEN
        PERFORM organizations_count_attempt(left_out, interval '10 years')
        WHERE left_out IS NOT NULL;
        RETURN NULL;
    END IF;
    DELETE FROM organizations_attempt a WHERE a.key = left_out RETURNING a.attempts INTO earlier;
    RETURN coalesce(earlier, 0);
END $$;
