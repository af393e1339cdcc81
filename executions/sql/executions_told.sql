-- What an execution tells of itself: the object in `meta`, by itself or under `dict`; else an empty
-- one.
CREATE OR REPLACE FUNCTION executions_told(meta jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(meta -> 'dict') = 'object' THEN meta -> 'dict'
    WHEN jsonb_typeof(meta) = 'object' AND meta -> 'dict' IS NULL THEN meta
    ELSE '{}' END;
