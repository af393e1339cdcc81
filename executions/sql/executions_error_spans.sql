-- What an error counts in, as keys of executions_errorcount: its day (UTC) and all time (0
-- seconds), each for all errors and for the person and the agent of its execution.
CREATE OR REPLACE FUNCTION executions_error_spans(day integer, user_id uuid, agent_name text)
RETURNS TABLE (seconds integer, property text, place integer, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT span.seconds, of.property, span.place, of.value
    FROM (VALUES (0, 0), (86400, day)) AS span (seconds, place)
    CROSS JOIN (VALUES ('all', ''), ('user', user_id::text), ('agent', agent_name))
        AS of (property, value);
$$;
