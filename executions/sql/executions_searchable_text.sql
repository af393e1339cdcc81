-- The text that a search of executions looks in: a field a line, NFC, in small letters, tags last.
CREATE OR REPLACE FUNCTION executions_searchable_text(
    fid text, agent_name text, status text, error text, meta jsonb
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(organizations_normalized(
    fid || E'\n' || agent_name || E'\n' || status || E'\n' || error || E'\n'
    || CASE jsonb_typeof(executions_told(meta) -> 'summary')
        WHEN 'string' THEN executions_told(meta) ->> 'summary' ELSE '' END
)) || E'\n' || array_to_string(executions_searchable_tags(meta), E'\n');
