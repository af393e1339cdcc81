"""What a search looks in, computed in time that grows with the text and no faster.

The generated columns stay as they are. Each is what the new functions return, except where a text
has more than 30 combining characters in a row: that was normalized, at length, and is found as
before until its execution next changes. PostgreSQL does not notice that the functions differ, and
to write the table anew would stop all traffic for a difference that no search asks for.
"""

from django.db import migrations

TAGS = r"""
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
END
"""
TEXT = r"""
CREATE OR REPLACE FUNCTION executions_searchable_text(
    fid text, agent_name text, status text, error text, meta jsonb
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(organizations_normalized(
    fid || E'\n' || agent_name || E'\n' || status || E'\n' || error || E'\n'
    || CASE jsonb_typeof(executions_told(meta) -> 'summary')
        WHEN 'string' THEN executions_told(meta) ->> 'summary' ELSE '' END
)) || E'\n' || array_to_string(executions_searchable_tags(meta), E'\n')
"""
TAGS_BEFORE = r"""
CREATE OR REPLACE FUNCTION executions_searchable_tags(meta jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(array_agg(lower(normalize(tag #>> '{}')) ORDER BY place), '{}')
    FROM jsonb_array_elements(
        CASE jsonb_typeof(executions_told(meta) -> 'tags')
        WHEN 'array' THEN executions_told(meta) -> 'tags' ELSE '[]' END
    ) WITH ORDINALITY AS tags(tag, place)
    WHERE jsonb_typeof(tag) = 'string';
END
"""
TEXT_BEFORE = r"""
CREATE OR REPLACE FUNCTION executions_searchable_text(
    fid text, agent_name text, status text, error text, meta jsonb
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(normalize(
    fid || E'\n' || agent_name || E'\n' || status || E'\n' || error || E'\n'
    || CASE jsonb_typeof(executions_told(meta) -> 'summary')
        WHEN 'string' THEN executions_told(meta) ->> 'summary' ELSE '' END
)) || E'\n' || array_to_string(executions_searchable_tags(meta), E'\n')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0025_unfinished_deletions"),
        ("organizations", "0020_normalized"),
    ]

    operations = [migrations.RunSQL([TAGS, TEXT], [TAGS_BEFORE, TEXT_BEFORE])]
