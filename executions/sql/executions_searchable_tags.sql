-- The tags that a search of executions looks in: those that are text, NFC, in small letters.
CREATE OR REPLACE FUNCTION executions_searchable_tags(meta jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(
        array_agg(lower(organizations_normalized(tag #>> '{}')) ORDER BY place), '{}'
    )
    FROM jsonb_array_elements(
        CASE jsonb_typeof(executions_told(meta) -> 'tags')
        WHEN 'array' THEN executions_told(meta) -> 'tags' ELSE '[]' END
    ) WITH ORDINALITY AS tags(tag, place)
    WHERE jsonb_typeof(tag) = 'string';
END;
