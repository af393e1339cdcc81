"""How many files an execution has, those in sub-folders included."""

from django.db import migrations, models

COUNT = """
DO $$ DECLARE place uuid; BEGIN
FOR place IN SELECT id FROM organizations_organization LOOP
    PERFORM set_config('app.organization_id', place::text, true);
    UPDATE executions_execution e
    SET input_file_count = counted.inputs, output_file_count = counted.outputs
    FROM (
        SELECT execution_id, count(*) FILTER (WHERE area = 'in') AS inputs,
            count(*) FILTER (WHERE area = 'out') AS outputs
        FROM executions_executionfile WHERE organization_id = place GROUP BY execution_id
    ) counted
    WHERE e.organization_id = place AND e.id = counted.execution_id;
END LOOP;
PERFORM set_config('app.organization_id', '', true);
END $$
"""


def count(help_text: str) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(default=0, db_default=0, help_text=help_text)


class Migration(migrations.Migration):
    dependencies = [("executions", "0017_normalized_text")]

    operations = [
        migrations.AddField(
            "execution", "input_file_count", count("Files in `in`, sub-folders included.")
        ),
        migrations.AddField(
            "execution", "output_file_count", count("Files in `out`, sub-folders included.")
        ),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
