-- What an ended execution counts in, as keys of executions_endedintime: its days, by when it
-- started and by when it started or ended last; the hour and the quarter of an hour in which it
-- started; and all time (no clock, 0 seconds). Nothing for a change of an earlier release.
CREATE OR REPLACE FUNCTION executions_spans(
    status text, user_id uuid, agent_id uuid, agent_name text,
    start_quarter integer, last_day integer, runtime_bin smallint
) RETURNS TABLE (clock text, seconds integer, property text, place integer, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT span.clock, span.seconds, of.property, span.place, of.value
    FROM (VALUES
        ('', 0, start_quarter * 0),
        ('start', 86400, floor(start_quarter / 96.0)::integer),
        ('last', 86400, last_day)
    ) AS span (clock, seconds, place)
    CROSS JOIN (VALUES
        ('status', status), ('user', user_id::text), ('agent', agent_name),
        ('runtime', runtime_bin::text)
    ) AS of (property, value)
    WHERE span.place IS NOT NULL AND of.value IS NOT NULL
    UNION ALL
    SELECT 'start', span.seconds, span.property, span.place, span.value
    FROM (VALUES
        (86400, 'agent_id', floor(start_quarter / 96.0)::integer, agent_id::text),
        (3600, 'status', floor(start_quarter / 4.0)::integer, status),
        (900, 'status', start_quarter, status)
    ) AS span (seconds, property, place, value)
    WHERE span.place IS NOT NULL;
$$;
