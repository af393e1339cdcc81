"""What a search looks in, beside each execution: its summary and tags lie inside of `meta`, and are
not to be taken out of it for a hundred thousand rows at each search.

The table is written anew once, for which everybody waits: some seconds for a hundred thousand
executions.
"""

import django.contrib.postgres.fields
from django.db import migrations, models

TOLD = """
CREATE FUNCTION executions_told(meta jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(meta -> 'dict') = 'object' THEN meta -> 'dict'
    WHEN jsonb_typeof(meta) = 'object' AND meta -> 'dict' IS NULL THEN meta
    ELSE '{}' END
"""
TAGS = """
CREATE FUNCTION executions_searchable_tags(meta jsonb) RETURNS text[]
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
TEXT = """
CREATE FUNCTION executions_searchable_text(
    fid text, agent_name text, status text, error text, meta jsonb
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(normalize(
    fid || E'\\n' || agent_name || E'\\n' || status || E'\\n' || error || E'\\n'
    || CASE jsonb_typeof(executions_told(meta) -> 'summary')
        WHEN 'string' THEN executions_told(meta) ->> 'summary' ELSE '' END
)) || E'\\n' || array_to_string(executions_searchable_tags(meta), E'\\n')
"""
COLUMNS = """
ALTER TABLE executions_execution
    ADD COLUMN searchable_text text GENERATED ALWAYS AS
        (executions_searchable_text(fid, agent_name, status, error, meta)) STORED,
    ADD COLUMN searchable_tags text[] GENERATED ALWAYS AS
        (executions_searchable_tags(meta)) STORED
"""
NO_COLUMNS = """
ALTER TABLE executions_execution DROP COLUMN searchable_text, DROP COLUMN searchable_tags
"""
NONE = """
DROP FUNCTION executions_searchable_text(text, text, text, text, jsonb);
DROP FUNCTION executions_searchable_tags(jsonb);
DROP FUNCTION executions_told(jsonb)
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0015_waiting_in_the_index")]

    operations = [
        migrations.RunSQL([TOLD, TAGS, TEXT], NONE),
        # Both columns in one statement: each by itself would write the table anew.
        migrations.RunSQL(
            COLUMNS,
            NO_COLUMNS,
            state_operations=[
                migrations.AddField(
                    "execution",
                    "searchable_text",
                    models.GeneratedField(
                        expression=models.Func(
                            *("fid", "agent_name", "status", "error", "meta"),
                            function="executions_searchable_text",
                        ),
                        output_field=models.TextField(),
                        db_persist=True,
                        help_text="What a search looks in, but for the user: NFC, in small letters, a "
                        "field a line.",
                    ),
                ),
                migrations.AddField(
                    "execution",
                    "searchable_tags",
                    models.GeneratedField(
                        expression=models.Func("meta", function="executions_searchable_tags"),
                        output_field=django.contrib.postgres.fields.ArrayField(models.TextField()),
                        db_persist=True,
                        help_text="Its tags: NFC, in small letters.",
                    ),
                ),
            ],
        ),
    ]
