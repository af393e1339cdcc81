"""Counters of attempts know when their window is over, so that an index finds those to delete.
Failures that need a counter of their own are counted, so that counters stay few.
"""

from datetime import timedelta

from django.db import migrations, models
from django.db.models.functions import Now

COUNT_ATTEMPT = """
-- Count one attempt under a key, and tell how many there were in the window and how many seconds of
-- it are left. The first attempt after a window's end begins another one. A window that begins far
-- from now is none: the clock was ahead when it began, and would keep everybody out until then.
CREATE OR REPLACE FUNCTION organizations_count_attempt(attempt_key text, span interval)
RETURNS TABLE (attempts integer, seconds_left integer)
LANGUAGE sql AS $$
    INSERT INTO organizations_attempt AS known (key, started_at, ends_at, attempts)
    VALUES (attempt_key, clock_timestamp(), clock_timestamp() + span, 1)
    ON CONFLICT (key) DO UPDATE SET
        started_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                               AND known.started_at + span
                          THEN known.started_at ELSE clock_timestamp() END,
        ends_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                            AND known.started_at + span
                       THEN known.ends_at ELSE clock_timestamp() + span END,
        attempts = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                             AND known.started_at + span
                        THEN known.attempts + 1 ELSE 1 END
    RETURNING known.attempts,
              ceil(extract(epoch FROM known.started_at + span - clock_timestamp()))::integer
$$;
"""
COUNT_ATTEMPT_BEFORE = """
-- Count one attempt under a key, and tell how many there were in the window and how many seconds of
-- it are left. The first attempt after a window's end begins another one. A window that begins far
-- from now is none: the clock was ahead when it began, and would keep everybody out until then.
CREATE OR REPLACE FUNCTION organizations_count_attempt(attempt_key text, span interval)
RETURNS TABLE (attempts integer, seconds_left integer)
LANGUAGE sql AS $$
    INSERT INTO organizations_attempt AS known (key, started_at, attempts)
    VALUES (attempt_key, clock_timestamp(), 1)
    ON CONFLICT (key) DO UPDATE SET
        started_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                               AND known.started_at + span
                          THEN known.started_at ELSE clock_timestamp() END,
        attempts = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                             AND known.started_at + span
                        THEN known.attempts + 1 ELSE 1 END
    RETURNING known.attempts,
              ceil(extract(epoch FROM known.started_at + span - clock_timestamp()))::integer
$$;
"""
COUNT_FAILURE = """
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
"""
COUNT_FAILURE_BEFORE = """
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
"""
DROP_COUNT_FAILURE = "DROP FUNCTION organizations_count_failure"
LEFT_OUT = """
UPDATE organizations_attempt SET ends_at = started_at + interval '10 years'
WHERE key LIKE 'left out %'
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0022_partitions")]

    operations = [
        migrations.AddField(
            "attempt",
            "ends_at",
            models.DateTimeField(
                db_default=Now() + timedelta(days=1),
                help_text=(
                    "When the window is over. Nothing counts from then on, and the row is deleted."
                ),
            ),
        ),
        migrations.RunSQL(LEFT_OUT, migrations.RunSQL.noop),
        migrations.AddIndex(
            "attempt", models.Index(fields=["ends_at"], name="organizations_attempt_ends")
        ),
        migrations.RunSQL(COUNT_ATTEMPT, COUNT_ATTEMPT_BEFORE),
        # With more parameters it cannot be replaced in place.
        migrations.RunSQL(
            [DROP_COUNT_FAILURE, COUNT_FAILURE], [DROP_COUNT_FAILURE, COUNT_FAILURE_BEFORE]
        ),
    ]
