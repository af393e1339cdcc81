"""Keep the runtime of each execution that has ended, in order, for percentiles of all time."""

from django.db import migrations, models

KEEP = """
CREATE FUNCTION executions_keep_runtime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runtime_seconds := CASE
        WHEN NEW.status IN ('finished', 'error', 'cancelled') AND NEW.end_time > NEW.start_time
        THEN NEW.end_time - NEW.start_time - NEW.waiting_seconds
    END;
    RETURN NEW;
END $$;
CREATE TRIGGER executions_keep_runtime BEFORE INSERT OR UPDATE ON executions_execution
    FOR EACH ROW WHEN (NEW.status IN ('finished', 'error', 'cancelled')
                       OR NEW.runtime_seconds IS NOT NULL)
    EXECUTE FUNCTION executions_keep_runtime();
"""
KEEP_NO_MORE = """
DROP TRIGGER executions_keep_runtime ON executions_execution;
DROP FUNCTION executions_keep_runtime();
"""


class Migration(migrations.Migration):
    dependencies = [("executions", "0022_ended_before")]

    operations = [
        migrations.AddField(
            "execution",
            "runtime_seconds",
            models.FloatField(
                null=True,
                editable=False,
                help_text="The runtime of one that has ended, if it has any; set by a trigger.",
            ),
        ),
        migrations.AddIndex(
            "execution",
            models.Index(
                fields=["organization", "runtime_seconds"],
                condition=models.Q(runtime_seconds__isnull=False),
                name="executions_execution_runtime",
            ),
        ),
        migrations.RunSQL(KEEP, KEEP_NO_MORE),
    ]
