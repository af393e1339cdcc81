"""Counting failed proofs, and which of them are recorded one by one.

A failure is counted under the lock of its counter and answered by its place in the window, so that
parallel guesses get no more answers than those one after the other.
"""

from django.db import migrations

COUNT_FAILURE = """
CREATE FUNCTION organizations_count_failure(
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
END $$
"""

NOTE_FAILURE = """
CREATE FUNCTION organizations_note_failure(
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
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0007_one_proven_account")]

    operations = [
        migrations.RunSQL(
            COUNT_FAILURE,
            "DROP FUNCTION organizations_count_failure(text[], integer[], interval)",
        ),
        migrations.RunSQL(
            NOTE_FAILURE,
            "DROP FUNCTION organizations_note_failure(text, integer, interval, text)",
        ),
    ]
