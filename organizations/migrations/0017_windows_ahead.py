"""Attempts that a clock counted that was ahead: their window is over."""

from django.db import migrations

BEFORE = """
CREATE OR REPLACE FUNCTION organizations_count_attempt(attempt_key text, span interval)
RETURNS TABLE (attempts integer, seconds_left integer)
LANGUAGE sql AS $$
    INSERT INTO organizations_attempt AS known (key, started_at, attempts)
    VALUES (attempt_key, clock_timestamp(), 1)
    ON CONFLICT (key) DO UPDATE SET
        started_at = CASE WHEN known.started_at + span > clock_timestamp()
                          THEN known.started_at ELSE clock_timestamp() END,
        attempts = CASE WHEN known.started_at + span > clock_timestamp()
                        THEN known.attempts + 1 ELSE 1 END
    RETURNING known.attempts,
              ceil(extract(epoch FROM known.started_at + span - clock_timestamp()))::integer
$$
"""
AFTER = """
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
$$
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0016_person_may_act")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
