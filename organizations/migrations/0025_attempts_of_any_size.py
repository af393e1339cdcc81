"""An attempt counts as more than one where a quota is of time, by the same rule of its window."""

from django.db import migrations

COUNT_ATTEMPT = """
-- Count one attempt under a key, or as many as `amount` says, and tell how many there were in the
-- window and how many seconds of it are left. The first attempt after a window's end begins another
-- one. A window that begins far from now is none: the clock was ahead when it began, and would keep
-- everybody out until then.
CREATE OR REPLACE FUNCTION organizations_count_attempt(
    attempt_key text, span interval, amount integer DEFAULT 1
) RETURNS TABLE (attempts integer, seconds_left integer)
LANGUAGE sql AS $$
    INSERT INTO organizations_attempt AS known (key, started_at, ends_at, attempts)
    VALUES (attempt_key, clock_timestamp(), clock_timestamp() + span, amount)
    ON CONFLICT (key) DO UPDATE SET
        started_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                               AND known.started_at + span
                          THEN known.started_at ELSE clock_timestamp() END,
        ends_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                            AND known.started_at + span
                       THEN known.ends_at ELSE clock_timestamp() + span END,
        attempts = CASE WHEN clock_timestamp() BETWEEN known.started_at - span
                             AND known.started_at + span
                        THEN known.attempts + amount ELSE amount END
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
DROP = "DROP FUNCTION organizations_count_attempt"


class Migration(migrations.Migration):
    dependencies = [("organizations", "0024_audit_bytes")]

    operations = [
        # With more parameters it cannot be replaced in place. Servers of the old release call it
        # with two, as before.
        migrations.RunSQL([DROP, COUNT_ATTEMPT], [DROP, COUNT_ATTEMPT_BEFORE]),
    ]
